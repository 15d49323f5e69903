-- Reach: how many people and devices there are by their last status, now and over time.

-- name: try_lock
-- Whether nobody else counts this workspace until the transaction ends.
select pg_try_advisory_xact_lock(hashtext('pushkeeper reach ' || current_schema()), ($1::bigint % 2147483647)::int);

-- name: lock
-- Wait until nobody else does.
select pg_advisory_xact_lock(hashtext('pushkeeper reach ' || current_schema()), ($1::bigint % 2147483647)::int);

-- name: forget_counts
-- The former count goes.
delete from device_counts where workspace_id = $1;

-- name: count_devices
-- Devices by platform, app version and last status; of many versions the rarest are one.
with counted as (
    select platform, coalesce(left(attributes ->> 'app_version', 100), '') as app_version, status, count(*) as devices
    from devices where workspace_id = $1
    group by 1, 2, 3
),
ranked as (
    select platform, app_version, row_number() over (partition by platform order by sum(devices) desc) as place
    from counted group by 1, 2
)
insert into device_counts (workspace_id, platform, app_version, status, devices)
select $1, c.platform, case when r.place <= $2::int then c.app_version else $3::text end, c.status, sum(c.devices)
from counted c join ranked r using (platform, app_version)
group by 1, 2, 3, 4;

-- name: count_people
-- How many people there are, have a device, and have one that is not known to refuse.
select (select count(*) from people where workspace_id = $1) as people, count(*) as people_with_device,
    count(*) filter (where reachable) as people_reachable
from (
    select bool_or(status in ('', 'sent')) as reachable from devices where workspace_id = $1 group by person_id
) as theirs;

-- name: put
-- It was counted just now.
insert into reach_now (workspace_id, counted_at, took_ms, people, people_with_device, people_reachable)
values ($1, clock_timestamp(), $2, $3, $4, $5)
on conflict (workspace_id) do update set counted_at = excluded.counted_at, took_ms = excluded.took_ms, asked_at = null,
    people = excluded.people, people_with_device = excluded.people_with_device,
    people_reachable = excluded.people_reachable;

-- name: keep_hour
-- The first count of an hour is kept as that hour's.
with kept as (
    insert into reach_snapshots (workspace_id, at, people, people_with_device, people_reachable)
    select workspace_id, date_trunc('hour', counted_at, 'UTC'), people, people_with_device, people_reachable
    from reach_now where workspace_id = $1
    on conflict do nothing
    returning workspace_id, at
)
insert into device_snapshots (workspace_id, at, platform, app_version, status, devices)
select workspace_id, k.at, platform, app_version, status, devices
from kept k join device_counts using (workspace_id);

-- name: due
-- The workspaces that were not counted in this hour, and those that somebody wants counted.
-- across workspaces: workers count for all.
select w.workspace_id
from workspaces w left join reach_now n using (workspace_id)
where n.workspace_id is null or n.asked_at is not null or n.counted_at < date_trunc('hour', now(), 'UTC')
order by n.asked_at, n.counted_at nulls first;

-- name: ask
-- Somebody wants this workspace counted.
update reach_now set asked_at = coalesce(asked_at, now()) where workspace_id = $1;

-- name: now
-- How a workspace stood when it was last counted.
select people, people_with_device, people_reachable, counted_at, took_ms from reach_now where workspace_id = $1;

-- name: devices
-- Devices at the last count.
select platform, app_version, status, devices from device_counts where workspace_id = $1
order by platform, app_version, status;

-- name: over_time
-- Devices by last status at each hour that was counted, or at the first of each day.
with moments as (
    select min(at) as at from reach_snapshots
    where workspace_id = $1 and at >= $2
    group by case when $3::boolean then date_trunc('day', at, 'UTC') else at end
)
select s.at, s.status, sum(s.devices)::bigint as devices
from moments m join device_snapshots s on s.workspace_id = $1 and s.at = m.at
group by s.at, s.status
order by s.at, s.status;

-- name: hours
-- Events by hour, oldest first.
with hours as (
    select generate_series(date_trunc('hour', now(), 'UTC') - ($2::int - 1) * interval '1 hour', now(), interval '1 hour') as at
),
turns as (
    select date_trunc('hour', at, 'UTC') as at, to_status, count(*) as devices
    from device_history
    where workspace_id = $1 and at >= date_trunc('hour', now(), 'UTC') - ($2 - 1) * interval '1 hour'
        and (event = 'refreshed' and to_status = '' or event like 'refused%' and to_status in ('bounced', 'suppressed'))
    group by 1, 2
),
taken as (
    select date_trunc('hour', h.hour, 'UTC') as at, sum(h.accepted) as accepted
    from route_hours h
    where h.workspace_id = $1 and h.hour >= date_trunc('hour', now(), 'UTC') - ($2 - 1) * interval '1 hour'
    group by 1
)
select h.at, coalesce(max(t.accepted), 0)::bigint as accepted,
    coalesce(sum(u.devices) filter (where u.to_status = 'bounced'), 0)::bigint as bounced,
    coalesce(sum(u.devices) filter (where u.to_status = 'suppressed'), 0)::bigint as suppressed,
    coalesce(sum(u.devices) filter (where u.to_status = ''), 0)::bigint as revived
from hours h left join taken t using (at) left join turns u using (at)
group by h.at
order by h.at;

-- name: thin
-- Of what is older than so long the first count of each day is kept, and nothing that is older than the other.
-- across workspaces: it is tidied for all.
delete from reach_snapshots s
where s.at < now() - $2::interval
    or s.at < now() - $1::interval and exists (
        select from reach_snapshots e
        where e.workspace_id = s.workspace_id and e.at >= date_trunc('day', s.at, 'UTC') and e.at < s.at);
