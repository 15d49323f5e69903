-- A shop after a year, made of the benchmarks' workspace: what happened is spread over the day, and was counted meanwhile.

-- name: devices
-- Half of the devices came within two months, and not on one day.
update devices set created_at = created_at - late, registered_at = registered_at - late
from (select device_id as id, make_interval(secs => abs(hashtext(encode(device_id, 'hex'))) % 5000000) as late
    from devices where workspace_id = $1) l
where device_id = l.id;

-- name: history
-- What happened to each device happened at an hour of its own.
update device_history set at = at + make_interval(secs => 72000 - abs(hashtext(encode(device_id, 'hex'))) % 5000000)
where workspace_id = $1;

-- name: moments
-- The days of the last two months.
insert into reach_snapshots (workspace_id, at, people, people_with_device, people_reachable)
select $1, date_trunc('day', now(), 'UTC') - make_interval(days => n), 0, 0, 0 from generate_series(0, 60) n
on conflict do nothing;

-- name: snapshots
-- How devices stood then, by what had happened to them.
with turns as (
    select h.at, d.platform, t.status, t.devices
    from device_history h join devices d using (device_id)
    cross join lateral (values (h.to_status, 1), (h.from_status, -1)) t (status, devices)
    where h.workspace_id = $1 and t.status is not null
)
insert into device_snapshots (workspace_id, at, platform, app_version, status, devices)
select $1, s.at, t.platform, '', t.status, sum(t.devices)
from reach_snapshots s join turns t on t.at < s.at
where s.workspace_id = $1
group by 2, 3, 5
having sum(t.devices) > 0
on conflict do nothing;

-- name: hours
-- What routes did in the last two days, most of it in the evening.
insert into route_hours (workspace_id, route_id, hour, accepted, definite)
select r.workspace_id, r.route_id, t.hour, t.pushes, t.pushes / 40
from credentials c join routes r using (workspace_id, credential_id)
cross join lateral (
    select h as hour, round(case c.provider when 'apns' then 50 else 60 end
        * (0.2 + 0.8 * (1 + sin((extract(hour from h)::float8 - 12) / 24 * 2 * pi())) / 2)
        * (0.9 + abs(hashtext(h::text || r.route_id)) % 200 / 1000.0))::bigint as pushes
    from generate_series(date_trunc('hour', now(), 'UTC') - interval '47 hours', now(), interval '1 hour') h) t
where c.workspace_id = $1 and r.leg = ''
on conflict (workspace_id, route_id, hour) do update set accepted = route_hours.accepted + excluded.accepted;

-- name: refusals
-- By which route devices were refused.
update bounce_days b set route = t.name
from (select c.provider, route_name(r.workspace_id, r.route_id) as name
    from credentials c join routes r using (workspace_id, credential_id)
    where c.workspace_id = $1 and r.leg = '') t
where b.workspace_id = $1 and b.provider = t.provider and b.route = '';

-- name: webhook
-- Somebody's endpoint has trouble.
insert into webhooks (workspace_id, name, endpoint, events, sealed, failures, failing_since, failure, due_at)
values ($1, 'our warehouse', 'https://example.com/hook', '{push_bounced,device_suppressed}', '', 3,
    now() - interval '2 hours', 'answered 503', now() + interval '1 hour');
