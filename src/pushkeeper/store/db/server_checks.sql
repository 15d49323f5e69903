-- What a server has to be.

-- name: standby
-- Whether the server follows another.
select pg_is_in_recovery();
