-- Snippets: texts that a workspace's messages share.

-- name: all
-- The snippets of a workspace, by name; with $2, only those with these names.
select name, value, updated_at from snippets
where workspace_id = $1 and ($2::text[] is null or name = any ($2))
order by name;

-- name: others
-- The number of snippets with other names.
select count(*) from snippets where workspace_id = $1 and name <> $2;

-- name: insert
-- Create a snippet; no row is returned if the name is taken.
insert into snippets (workspace_id, name, value) values ($1, $2, $3)
on conflict (workspace_id, name) do nothing
returning name, value, updated_at;

-- name: put
-- Save a snippet, replacing one of the same name.
insert into snippets (workspace_id, name, value) values ($1, $2, $3)
on conflict (workspace_id, name) do update set value = excluded.value, updated_at = now()
returning name, value, updated_at;

-- name: delete
-- Delete a snippet.
delete from snippets where workspace_id = $1 and name = $2 returning name;
