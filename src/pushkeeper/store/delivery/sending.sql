-- Sending: whether a workspace's pushes leave at all.

-- name: pause
-- Nothing of the workspace leaves; no row comes back where it is paused already.
insert into sending_pauses (workspace_id, reason, actor, actor_name) values ($1, $2, $3, $4)
on conflict (workspace_id) do nothing
returning paused_at;

-- name: resume
-- Its pushes leave again; no row comes back where they did.
delete from sending_pauses where workspace_id = $1 returning paused_at;

-- name: one
-- The pause of a workspace.
select paused_at, reason, actor, actor_name from sending_pauses where workspace_id = $1;

-- name: queued
-- The devices that pushes of a workspace are queued for.
select coalesce(sum(coalesce(cardinality(device_ids), 1)), 0)::bigint from batches where workspace_id = $1;

-- name: all
-- Every pause, by the workspace's name.
-- across workspaces: the installation is examined.
select w.name as workspace, p.paused_at, p.reason, p.actor, p.actor_name
from sending_pauses p join workspaces w using (workspace_id)
order by w.name;
