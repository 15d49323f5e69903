-- Commits whose answer was lost.

-- name: standing
-- How a transaction of a server that was started then ended; null where that was another server, or has been restarted since,
-- or has crashed and never received it.
select case when pg_postmaster_start_time() = $2 and $1::text::xid8 < pg_snapshot_xmax(pg_current_snapshot())
    then pg_xact_status($1::text::xid8) end;
