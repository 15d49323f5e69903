-- Rows that could not be read.

-- name: note
-- Record rows that could not be read. At most a thousand per workspace: more would add nothing.
-- across workspaces: readers read the rows of several.
insert into unreadable_rows (workspace_id, table_name, key, reason)
select n.workspace_id, n.table_name, n.key, n.reason
from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) as n (workspace_id, table_name, key, reason)
join workspaces w using (workspace_id)
where (select count(*) from unreadable_rows u where u.workspace_id = n.workspace_id) < 1000
order by 1, 2, 3
on conflict (workspace_id, table_name, key) do update set reason = excluded.reason, last_at = now();

-- name: of_workspace
-- The rows of a workspace that could not be read in the last day, the latest first.
select table_name, key, reason, first_at, last_at from unreadable_rows
where workspace_id = $1 and last_at > now() - interval '1 day'
order by last_at desc, table_name, key
limit 200;

-- name: counts
-- How many rows could not be read in the last day, by workspace and table.
-- across workspaces: the installation is measured.
select w.name as workspace, u.table_name, count(*) as rows, max(u.reason) as reason
from unreadable_rows u join workspaces w using (workspace_id)
where u.last_at > now() - interval '1 day'
group by 1, 2
order by 1, 2;

-- name: clean
-- Forget rows that have been readable, or deleted, for a week.
-- across workspaces: it is cleaned up.
delete from unreadable_rows where last_at < now() - interval '7 days';
