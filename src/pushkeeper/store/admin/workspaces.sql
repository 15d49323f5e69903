-- Workspaces and their keys.

-- name: create
-- Make a workspace with its keys; no row comes back when the name is taken.
with made as (
    insert into workspaces (name) values ($1) on conflict (name) do nothing returning workspace_id
)
insert into keys (kind, key_id, workspace_id, secret_hash)
select k.kind, k.key_id, made.workspace_id, k.secret_hash
from made, unnest($2::text[], $3::text[], $4::bytea[]) as k (kind, key_id, secret_hash)
returning workspace_id;

-- name: all
-- Every workspace with how much it holds, oldest first: counted now, or as it was last counted where that took more than $1
-- milliseconds.
-- across workspaces: the installation is listed.
select w.workspace_id, w.name, w.created_at, r.counted_at,
    case when r.counted_at is null then (select count(*) from people p where p.workspace_id = w.workspace_id)
        else r.people end as people,
    case when r.counted_at is null then (select count(*) from devices d where d.workspace_id = w.workspace_id)
        else (select coalesce(sum(c.devices), 0)::bigint from device_counts c where c.workspace_id = w.workspace_id)
        end as devices,
    (select key_id from keys k where k.workspace_id = w.workspace_id and k.kind = 'track' limit 1) as site_id
from workspaces w left join reach_now r on r.workspace_id = w.workspace_id and r.took_ms > $1
order by w.workspace_id;

-- name: names
-- The workspaces by their names, as many as somebody may choose from, each with the pause of its sending.
-- across workspaces: the installation is listed.
select w.workspace_id, w.name, p.paused_at, p.reason, p.actor, p.actor_name
from workspaces w left join sending_pauses p using (workspace_id)
order by lower(w.name), w.workspace_id
limit $1;

-- name: ids
-- Every workspace.
-- across workspaces: maintenance of the installation.
select workspace_id from workspaces order by workspace_id;

-- name: by_name
-- The workspace of this name.
select workspace_id, name from workspaces where name = $1;

-- name: key
-- The workspace and the hash behind the public part of a key.
-- across workspaces: the key determines the workspace.
select k.workspace_id, w.name, k.secret_hash
from keys k join workspaces w using (workspace_id)
where k.kind = $1 and k.key_id = $2;

-- name: options
-- What a workspace chose.
select suppress_after, min_strike_gap_s, suppress_on_definitive, delete_unregistered, max_pushes_per_s, ramp_s,
    token_ownership, allow_placeholder_ids
from workspaces where workspace_id = $1;

-- name: choose
-- Change options.
update workspaces set suppress_after = $2, min_strike_gap_s = $3, suppress_on_definitive = $4, delete_unregistered = $5,
    max_pushes_per_s = $6, ramp_s = $7, token_ownership = $8, allow_placeholder_ids = $9
where workspace_id = $1;

-- name: shares
-- Whether there is a token that several people may have.
select exists (select from devices where workspace_id = $1 and shared);
