-- Insights: reports over all devices, which take their time and are kept, and series by the day, which are kept counted.

-- name: try_lock
-- Whether nobody else counts this for the workspace until the transaction ends.
select pg_try_advisory_xact_lock(hashtext('pushkeeper insight ' || $2::text || ' ' || current_schema()), ($1::bigint % 2147483647)::int);

-- name: put
-- It was counted just now.
insert into insights (workspace_id, name, counted_at, took_ms, found) values ($1, $2, clock_timestamp(), $3, $4::jsonb)
on conflict (workspace_id, name) do update set
    counted_at = excluded.counted_at, took_ms = excluded.took_ms, asked_at = null, found = excluded.found;

-- name: last
-- The last result.
select counted_at, took_ms, found from insights
where workspace_id = $1 and name = $2 and counted_at is not null;

-- name: ask
-- Somebody wants it counted.
insert into insights (workspace_id, name, asked_at) values ($1, $2, now())
on conflict (workspace_id, name) do update set asked_at = coalesce(insights.asked_at, excluded.asked_at);

-- name: due
-- Requested counts, oldest request first.
-- across workspaces: workers count for all.
select workspace_id, name from insights where asked_at is not null order by asked_at;

-- name: cohorts
-- People by the month in which they came, and how they can be reached: by a device that took the last push or had none yet,
-- only by ones that bounced, only by suppressed ones, or by none.
with theirs as (
    select person_id, bool_or(status in ('', 'sent')) as reachable, bool_and(status = 'suppressed') as suppressed
    from devices where workspace_id = $1
    group by person_id
)
select to_char(date_trunc('month', p.created_at, 'UTC') at time zone 'utc', 'YYYY-MM') as month, count(*) as people,
    count(*) filter (where t.reachable) as reachable,
    count(*) filter (where not t.reachable and not t.suppressed) as bounced,
    count(*) filter (where not t.reachable and t.suppressed) as suppressed,
    count(*) filter (where t.person_id is null) as without_device
from people p left join theirs t using (person_id)
where p.workspace_id = $1
group by 1
order by 1;

-- name: tokens
-- Devices by platform and by how many whole days ago they were last used; what is older than two years is one.
select platform, greatest(least(floor(extract(epoch from now() - last_used) / 86400), 730), 0)::int as days,
    count(*) as devices, count(*) filter (where status = 'suppressed') as suppressed
from devices
where workspace_id = $1
group by 1, 2
order by 1, 2;

-- name: revivals
-- Bounces and suppressions by the month in which they were, and what came next of those devices: an accepted push, the next
-- refusal, the person again, another person, a reverted bounce, or the end. `median_s` is how long those took who were
-- registered again.
with lines as (
    select at, to_status, lead(event) over w as event_next, lead(at) over w as at_next
    from device_history
    where workspace_id = $1 and at > now() - interval '13 months'
        and (event <> 'refused_as_stale' or to_status <> from_status)
    window w as (partition by device_id order by at, history_id)
)
select to_char(date_trunc('month', at, 'UTC') at time zone 'utc', 'YYYY-MM') as month, to_status as status,
    count(*) as devices,
    count(*) filter (where event_next = 'accepted') as accepted,
    count(*) filter (where event_next in ('refused', 'refused_as_stale')) as refused,
    count(*) filter (where event_next = 'refreshed') as revived,
    count(*) filter (where event_next = 'moved') as moved,
    count(*) filter (where event_next = 'undone') as undone,
    count(*) filter (where event_next = 'deleted') as deleted,
    count(*) filter (where event_next is null) as still,
    (percentile_cont(0.5) within group (order by extract(epoch from at_next - at))
        filter (where event_next in ('refreshed', 'moved')))::float8 as median_s
from lines
where to_status in ('bounced', 'suppressed')
group by 1, 2
order by 1, 2;

-- name: pushes
-- What pushes came to, day by day and platform by platform.
select day, platform, ending, sum(pushes)::bigint as pushes
from push_days
where workspace_id = $1 and day > (now() at time zone 'utc')::date - $2::int
group by 1, 2, 3
order by 1, 2, 3;

-- name: reasons
-- Reasons why pushes did not reach their devices in the last days.
select ending, reason, provider_reason, sum(pushes)::bigint as pushes
from push_days
where workspace_id = $1 and day > (now() at time zone 'utc')::date - $2::int and ending <> 'accepted'
group by 1, 2, 3
order by 4 desc, 1, 2, 3;

-- name: bounces
-- Rejections by route, reason, platform and app version in the last days.
select route, provider, provider_reason, platform, app, app_version, sum(pushes)::bigint as pushes
from bounce_days
where workspace_id = $1 and day > (now() at time zone 'utc')::date - $2::int
group by 1, 2, 3, 4, 5, 6
order by 7 desc, 1, 2, 3, 4, 5, 6
limit $3;

-- name: bounces_by_day
-- Refusals by word, day by day.
select day, provider, provider_reason, sum(pushes)::bigint as pushes
from bounce_days
where workspace_id = $1 and day > (now() at time zone 'utc')::date - $2::int
group by 1, 2, 3
order by 1, 2, 3;

-- name: fold_push_days
-- What several connections counted of days that are over becomes one row.
-- across workspaces: it is tidied for all.
with several as (
    delete from push_days where day < (now() at time zone 'utc')::date - 1 and shard <> 0
    returning workspace_id, day, platform, seen, ending, reason, provider_reason, pushes
)
insert into push_days (workspace_id, day, platform, seen, ending, reason, provider_reason, shard, pushes)
select workspace_id, day, platform, seen, ending, reason, provider_reason, 0, sum(pushes)
from several
group by 1, 2, 3, 4, 5, 6, 7
order by 1, 2, 3, 4, 5, 6, 7
on conflict (workspace_id, day, platform, seen, ending, reason, provider_reason, shard)
    do update set pushes = push_days.pushes + excluded.pushes;

-- name: fold_bounce_days
-- Likewise of refusals.
-- across workspaces: it is tidied for all.
with several as (
    delete from bounce_days where day < (now() at time zone 'utc')::date - 1 and shard <> 0
    returning workspace_id, day, platform, app, app_version, route, provider, provider_reason, pushes
)
insert into bounce_days (workspace_id, day, platform, app, app_version, route, provider, provider_reason, shard, pushes)
select workspace_id, day, platform, app, app_version, route, provider, provider_reason, 0, sum(pushes)
from several
group by 1, 2, 3, 4, 5, 6, 7, 8
order by 1, 2, 3, 4, 5, 6, 7, 8
on conflict (workspace_id, day, platform, app, app_version, route, provider, provider_reason, shard)
    do update set pushes = bounce_days.pushes + excluded.pushes;
