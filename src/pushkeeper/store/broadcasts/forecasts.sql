-- Forecasts: audiences, grouped by what decides whether a device is reached, and outcomes of past pushes.

-- name: kinds
-- An audience's devices, counted by kind.
select d.platform, d.app, d.environment, token_shape(d.platform, d.token) as shape, seen_step(d.last_used, now()) as seen,
    skip_reason(
        true, d.status, p.unsubscribed, p.attributes, d.attributes,
        exists (select from later_tokens(d.workspace_id, d.person_id, d.platform, phone_of(d.attributes), d.last_used, d.device_id)),
        d.platform, {asks}
    ) as skip,
    case when d.status = 'suppressed' then d.failure_reason end as failure_reason,
    push_is_disabled(d.attributes) as no_permission, {zone} as zone, count(*) as devices
from devices d join people p using (workspace_id, person_id) {listed}
where d.workspace_id = $1 and $2::bigint is not null and {condition}
group by 1, 2, 3, 4, 5, 6, 7, 8, 9;

-- name: reachable
-- Devices of an audience that it would be sent to as far as the database knows, in the order of their keys, which are spread
-- evenly; with the data that the list of recipients has for their person.
select d.device_id, d.person_id, d.platform, l.data
from devices d join people p using (workspace_id, person_id)
    {listed}
where d.workspace_id = $1 and d.device_id > $3 and {condition} and skip_reason(
        true, d.status, p.unsubscribed, p.attributes, d.attributes,
        exists (select from later_tokens(d.workspace_id, d.person_id, d.platform, phone_of(d.attributes), d.last_used, d.device_id)),
        d.platform, {asks}
    ) is null
order by d.device_id
limit $4;

-- name: unknown_zones
-- The most frequent time zones of an audience's devices that are not valid, with their counts.
select left({said}, 40) as zone, count(*) as devices
from devices d join people p using (workspace_id, person_id) {listed}
where d.workspace_id = $1 and $2::bigint is not null and {condition} and {zone} = 'unknown'
group by 1
order by 2 desc, 1
limit 10;

-- name: people
-- How many people have devices of an audience.
select count(*) as people
from (
    select from devices d join people p using (workspace_id, person_id) {listed}
    where d.workspace_id = $1 and $2::bigint is not null and {condition}
    group by d.person_id
) g;

-- name: history
-- Outcomes of a workspace's pushes, by day, platform and time since the devices were used.
select day, platform, seen::int, ending, sum(pushes)::bigint as pushes
from push_days
where workspace_id = $1 and day >= (now() at time zone 'utc')::date - $2::int and ending in ('accepted', 'bounced')
group by 1, 2, 3, 4
order by 1;

-- name: fastest
-- How many pushes of broadcasts a workspace has had accepted in its best minute of the last week.
select max(pushes)::bigint
from (
    select sum(b.pushes) as pushes
    from broadcast_minutes b
    where b.workspace_id = $1 and b.minute > now() - interval '7 days' and b.ending = 'accepted'
    group by b.minute
) minutes;
