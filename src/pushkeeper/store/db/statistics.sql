-- What the server believes of how much there is, by which it chooses its ways.

-- name: held
-- How many rows a workspace has in a table, as far as so many.
select count(*) from (select from {table} where workspace_id = $1 limit $2) held;

-- name: expected
-- How many the server expects.
explain (format json) select from {table} where workspace_id = $1;

-- name: look_again
-- Have it look at both again.
analyze people, devices;

-- name: outgrown
-- Tables that are four times as large as when the server last looked: their plans are for a smaller one. What it knows of
-- one that was just made is nothing, and an index on the workspace alone looks as good as any.
select c.oid::regclass::text as name
from pg_class c
where c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('workspaces')) and c.relkind = 'r'
    and pg_relation_size(c.oid) / current_setting('block_size')::int >= 4 * greatest(c.relpages, 1);
