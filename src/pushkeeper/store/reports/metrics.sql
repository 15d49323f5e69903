-- Metrics of the database itself.

-- name: queue
-- The queue by workspace and priority: due, later, held (by a paused workspace, or a paused or throttled route), parked (of a
-- draft or a paused broadcast), or claimed.
-- across workspaces: the installation is measured.
select w.name as workspace, b.priority, s.state, count(*) as batches,
    sum(coalesce(cardinality(b.device_ids), 1))::bigint as devices,
    extract(epoch from now() - min(b.due_at) filter (where s.state = 'due'))::float8 as oldest_due_s
from batches b
join workspaces w using (workspace_id)
left join routes r on r.workspace_id = b.workspace_id and r.route_id = b.lane
left join sending_pauses p on p.workspace_id = b.workspace_id
cross join lateral (
    select case
        when b.parked then 'parked'
        when b.lease_until >= now() then 'claimed'
        when b.due_at > now() then 'later'
        when p.workspace_id is not null and b.lane <> -1 or r.paused_at is not null or r.throttled_until > now() then 'held'
        else 'due'
    end as state
) s
group by 1, 2, 3;

-- name: held
-- Refusals that are held, by route.
-- across workspaces: the installation is measured.
select route_id, why, count(*) as held from held_verdicts group by 1, 2;

-- name: hooks
-- Every webhook with its queue.
-- across workspaces: the installation is measured.
select w.name as workspace, h.webhook_id, h.disabled,
    coalesce(extract(epoch from now() - h.failing_since), 0)::float8 as failing_s,
    (select count(*) from outbox o
        where o.workspace_id = h.workspace_id and o.webhook_id = h.webhook_id) as waiting
from webhooks h join workspaces w using (workspace_id);

-- name: devices
-- Devices by workspace, platform and last status.
-- across workspaces: the installation is measured.
select w.name as workspace, d.platform, coalesce(nullif(d.status, ''), 'unused') as status, d.devices
from (select workspace_id, platform, status, count(*) as devices from devices group by 1, 2, 3) d
join workspaces w using (workspace_id);

-- name: workspaces
-- The names of all workspaces.
select workspace_id, name from workspaces;

-- name: size
-- How much room the database takes on disk.
select pg_database_size(current_database());

-- name: version
-- Which PostgreSQL this is.
select current_setting('server_version');
