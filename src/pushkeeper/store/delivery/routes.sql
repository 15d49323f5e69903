-- Routes: what a provider can reject as a whole, its state, and its queue.

-- name: fresh
-- Create a credential's routes; existing ones resume and have to be verified again.
insert into routes (workspace_id, credential_id, leg)
select $1, $2, leg from unnest($3::text[]) as leg
on conflict (workspace_id, credential_id, leg) do update set accepted_at = null, paused_at = null, pause_reason = null,
    pause_kind = null, probe_at = null, believed_until = null, throttled_until = null, slowed_to_per_s = null
returning route_id;

-- name: of_workspaces
-- The routes of workspaces, each with what is usual for it: its last 24 hours without this one, in which a wave may be.
select r.route_id, r.credential_id, r.workspace_id, c.provider, c.app, c.environment, c.endpoint_url, r.leg,
    c.changed_at,
    r.accepted_at, r.paused_at, r.pause_reason, r.pause_kind, r.probe_at, r.believed_until, r.throttled_until, r.slowed_to_per_s,
    w.max_pushes_per_s, w.ramp_s, coalesce(h.ambiguous::float8 / nullif(h.results, 0), 0) as norm
from routes r
join credentials c using (workspace_id, credential_id)
join workspaces w using (workspace_id)
cross join lateral (
    select sum(ambiguous) as ambiguous, sum(accepted + ambiguous + definite + other) as results
    from route_hours h
    where h.workspace_id = r.workspace_id and h.route_id = r.route_id and h.hour >= now() - interval '24 hours' and h.hour < date_trunc('hour', now())
) h
where r.workspace_id = any ($1::bigint[])
order by r.route_id;

-- name: health
-- Outcomes on a workspace's routes in the last 24 hours, and the queue of each.
select r.route_id,
    coalesce(h.accepted, 0)::bigint as accepted, coalesce(h.ambiguous, 0)::bigint as ambiguous,
    coalesce(h.definite, 0)::bigint as definite, coalesce(h.other, 0)::bigint as other,
    (select coalesce(sum(cardinality(device_ids)), 0)::bigint from batches b
        where b.workspace_id = $1 and b.lane = r.route_id) as waiting,
    (select count(*) from held_verdicts v
        where v.workspace_id = r.workspace_id and v.route_id = r.route_id) as held_verdicts
from routes r
cross join lateral (
    select sum(accepted) as accepted, sum(ambiguous) as ambiguous, sum(definite) as definite, sum(other) as other
    from route_hours h
    where h.workspace_id = r.workspace_id and h.route_id = r.route_id and h.hour > now() - interval '24 hours'
) h
where r.workspace_id = $1
order by r.route_id;

-- name: alerts
-- What somebody should look at on a workspace's routes, the newest first.
select a.route_id, reason_code(a.reason) as reason, a.alert, a.detail, a.times, a.first_at, a.last_at
from alerts a
where a.workspace_id = $1 and a.last_at > now() - interval '7 days'
order by a.last_at desc;

-- name: alert
-- Say it again, or for the first time.
insert into alerts (workspace_id, route_id, reason, alert, detail) values ($1, $2, $3, $4, $5)
on conflict (workspace_id, route_id, reason) do update set
    alert = excluded.alert, detail = excluded.detail, times = alerts.times + 1, last_at = now();

-- name: count
-- Add outcomes of a route's pushes to this hour.
insert into route_hours (workspace_id, route_id, hour, accepted, ambiguous, definite, other)
select g.workspace_id, g.route_id, date_trunc('hour', now()), g.accepted, g.ambiguous, g.definite, g.other
from unnest($1::bigint[], $2::bigint[], $3::int[], $4::int[], $5::int[], $6::int[])
    as g (workspace_id, route_id, accepted, ambiguous, definite, other)
order by g.route_id
on conflict (workspace_id, route_id, hour) do update set
    accepted = route_hours.accepted + excluded.accepted, ambiguous = route_hours.ambiguous + excluded.ambiguous,
    definite = route_hours.definite + excluded.definite, other = route_hours.other + excluded.other;

-- name: accepted
-- The routes proved themselves.
update routes r set accepted_at = now()
from unnest($1::bigint[], $2::bigint[]) as k (workspace_id, route_id)
where r.workspace_id = k.workspace_id and r.route_id = k.route_id and r.accepted_at is null;

-- name: pause
-- Stop one route of a credential, or all of them; one that is paused keeps its first reason.
update routes set paused_at = now(), pause_kind = $4, pause_reason = $5,
    probe_at = now() + make_interval(secs => $6::float8)
where workspace_id = $1 and credential_id = $2 and ($3::bigint is null or route_id = $3) and paused_at is null
returning route_id;

-- name: believe
-- An operator says that the refusals on these routes are true: the guard lets them through for an hour.
update routes set believed_until = now() + interval '1 hour'
where workspace_id = $1 and route_id = any ($2::bigint[]);

-- name: resume
-- Resume routes.
update routes set paused_at = null, pause_kind = null, pause_reason = null, probe_at = null
where workspace_id = $1 and route_id = any ($2::bigint[])
returning route_id;

-- name: due_probes
-- Paused routes whose provider may be probed now, one for each credential and kind of pause; nobody else probes
-- meanwhile.
-- across workspaces: workers probe for all.
update routes set probe_at = now() + make_interval(secs => $1)
where (workspace_id, route_id) in (
    select workspace_id, route_id from routes where probe_at <= now() order by probe_at limit 10
    for update skip locked)
returning workspace_id, route_id;

-- name: throttle
-- A provider slows a route, or all routes of its credential; a longer rest in progress is kept.
update routes set throttled_until = greatest(throttled_until, now() + make_interval(secs => $4::float8)),
    slowed_to_per_s = $5
where workspace_id = $1 and credential_id = $2 and ($3::bigint is null or route_id = $3);

-- name: waiting
-- For how many devices there is work in the lanes of these routes.
select coalesce(sum(cardinality(device_ids)), 0)::bigint from batches
where workspace_id = $1 and lane = any ($2::bigint[]);
