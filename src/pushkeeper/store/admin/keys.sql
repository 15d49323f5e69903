-- Keys of workspaces.

-- name: of_workspace
-- The keys of a workspace, without what they are compared by.
select kind, key_id, created_at from keys where workspace_id = $1
order by array_position(array['track', 'app', 'cdp'], kind), created_at, key_id;

-- name: insert
-- Another key.
insert into keys (workspace_id, kind, key_id, secret_hash) values ($1, $2, $3, $4);

-- name: lock
-- The keys of a kind, which nobody else takes away meanwhile.
select key_id from keys where workspace_id = $1 and kind = $2 order by key_id for update;

-- name: delete
-- A key is gone.
delete from keys where workspace_id = $1 and kind = $2 and key_id = $3;
