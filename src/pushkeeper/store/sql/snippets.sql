-- Snippets: texts that a workspace's messages share.

-- name: all
-- The snippets of a workspace, by name; only those of these names with $2.
select name, value, updated_at from snippets
where workspace_id = $1 and ($2::text[] is null or name = any ($2))
order by name;

-- name: others
-- How many snippets there are besides one of this name.
select count(*) from snippets where workspace_id = $1 and name <> $2;

-- name: insert
-- A new snippet; no row comes back when there is one of its name.
insert into snippets (workspace_id, name, value) values ($1, $2, $3)
on conflict (workspace_id, name) do nothing
returning name, value, updated_at;

-- name: put
-- A snippet that is new, or says something else now.
insert into snippets (workspace_id, name, value) values ($1, $2, $3)
on conflict (workspace_id, name) do update set value = excluded.value, updated_at = now()
returning name, value, updated_at;

-- name: delete
-- A snippet goes.
delete from snippets where workspace_id = $1 and name = $2 returning name;
