-- Batches are the queue: claimed with a lease, settled by whoever still holds the claim.

-- name: claim
-- Batches that are due and nobody works on, until they hold $3 devices, of which $4 may be other than urgent.
-- Workspaces and priorities take weighted turns, but nothing stands in the way of what is urgent; a lane that is paused,
-- throttled or full ($5, $6) is passed over.
with recursive queues as (
    (select workspace_id, priority, lane from batches order by workspace_id, priority, lane limit 1)
    union all
    select n.workspace_id, n.priority, n.lane
    from queues q cross join lateral (
        select workspace_id, priority, lane from batches
        where (workspace_id, priority, lane) > (q.workspace_id, q.priority, q.lane)
        order by workspace_id, priority, lane
        limit 1
    ) n
),
open as (
    select q.workspace_id, q.priority, q.lane, coalesce(l.room, $3) as room
    from queues q
    left join routes r on r.route_id = q.lane
    left join unnest($5::bigint[], $6::int[]) as l (lane, room) on l.lane = q.lane
    where r.paused_at is null and (r.throttled_until is null or r.throttled_until <= now())
        and coalesce(l.room, 1) > 0
),
due as materialized (
    select o.workspace_id, o.priority, o.lane, o.room, d.batch_id, d.due_at, d.size
    from open o cross join lateral (
        select batch_id, due_at, coalesce(cardinality(device_ids), 1) as size
        from batches b
        where b.workspace_id = o.workspace_id and b.priority = o.priority and b.lane = o.lane
            and b.due_at <= now() and (b.lease_until is null or b.lease_until < now())
        order by b.due_at
        limit case when o.priority = 0 then 500 else 16 end
        for update skip locked
    ) d
),
turn as (
    select batch_id, priority, size, room,
        sum(size) over (partition by workspace_id, lane order by priority, due_at, batch_id) - size as ahead_in_lane,
        (sum(size) over (partition by workspace_id, priority order by due_at, batch_id) - size)
            / (case priority when 0 then 16.0 when 1 then 4.0 else 1.0 end) as turn
    from due
),
taken as (
    select batch_id, priority, sum(size) over in_turn - size as ahead,
        sum(size) filter (where priority = 0) over in_turn - size as urgent_ahead
    from turn
    where ahead_in_lane < room
    window in_turn as (order by turn, priority, batch_id)
)
update batches b set
    claim_id = $1,
    lease_until = now() + make_interval(secs => $2),
    claims = claims + 1,
    first_attempt_at = coalesce(first_attempt_at, now())
from taken t
where b.batch_id = t.batch_id and case when t.priority = 0 then t.urgent_ahead < $3 else t.ahead < $4 end
returning b.batch_id, b.workspace_id, b.message_id, b.priority, b.attempt, b.first_attempt_at, b.due_at,
    b.device_ids, b.person_ids;

-- name: targets
-- Every device of the claimed batches as it stands now, with the person it was planned for; pushes that a former claim
-- has settled are left out.
with claimed as (
    select b.batch_id, b.workspace_id, b.message_id, b.device_ids, b.person_ids, b.person_id, b.pick, b.claims,
        (m.created_at at time zone 'utc')::date as message_day
    from batches b join messages m using (message_id)
    where b.batch_id = any ($1::bigint[])
),
planned as (
    select c.batch_id, p.device_id, p.person_id as planned_for
    from claimed c, unnest(c.device_ids, c.person_ids) as p (device_id, person_id)
    union all
    select c.batch_id, d.device_id, c.person_id
    from claimed c join devices d on d.workspace_id = c.workspace_id and d.person_id = c.person_id
    where c.pick = 'all'
    union all
    select c.batch_id, d.device_id, c.person_id
    from claimed c cross join lateral (
        select device_id from devices d
        where d.workspace_id = c.workspace_id and d.person_id = c.person_id
        order by d.status = 'suppressed' or d.platform = 'web', d.last_used desc, d.device_id
        limit 1
    ) d
    where c.pick = 'last_used'
)
select p.batch_id, p.device_id, p.planned_for, d.person_id, d.token, d.id_kind, d.platform, d.app, d.environment,
    d.status, d.generation, d.registered_at, coalesce(w.unsubscribed, false) as unsubscribed
from planned p
join claimed c using (batch_id)
left join devices d using (device_id)
left join people w on w.person_id = p.planned_for
where c.claims = 1 or not (
    exists (
        select from pushes x
        where x.message_day = c.message_day and x.message_id = c.message_id and x.device_id = p.device_id
    )
    or exists (select from held_verdicts h where h.message_id = c.message_id and h.device_id = p.device_id)
);

-- name: messages
-- What the claimed batches say.
select message_id, content, wording, platforms, send_to_unsubscribed, expires_at, stop_reason
from messages where message_id = any ($1::uuid[]);

-- name: renew
-- Keep claims for another while; one that was lost meanwhile does not come back.
update batches b set lease_until = now() + make_interval(secs => $3)
from unnest($1::bigint[], $2::uuid[]) as c (batch_id, claim_id)
where b.batch_id = c.batch_id and b.claim_id = c.claim_id
returning b.batch_id;

-- name: still_claimed
-- Which of these claims still stand; they stay so until the transaction ends.
select b.batch_id
from batches b join unnest($1::bigint[], $2::uuid[]) as c (batch_id, claim_id)
    on b.batch_id = c.batch_id and b.claim_id = c.claim_id
order by b.batch_id
for update of b;

-- name: shrink
-- A batch keeps the devices that are not settled yet.
update batches set device_ids = $2, person_ids = $3, person_id = null, pick = null where batch_id = $1;

-- name: delete
-- All of these batches is settled.
delete from batches where batch_id = any ($1::bigint[]);

-- name: drop_empty
-- Batches without a device are over; a person who has none is told of, unless there was one that is settled already.
with gone as (
    delete from batches b using unnest($1::bigint[], $2::uuid[]) as c (batch_id, claim_id)
    where b.batch_id = c.batch_id and b.claim_id = c.claim_id
    returning b.workspace_id, b.message_id, b.person_id
)
insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, reason)
select (m.created_at at time zone 'utc')::date, g.message_id, int8send(g.person_id), g.workspace_id, g.person_id,
    'skipped', 'no_device'
from gone g join messages m using (message_id)
where g.person_id is not null and not exists (
    select from pushes x where x.message_day = (m.created_at at time zone 'utc')::date
        and x.message_id = g.message_id and x.person_id = g.person_id)
on conflict do nothing;

-- name: release
-- Give claims back, for anybody to take up at once.
update batches b set claim_id = null, lease_until = null
from unnest($1::bigint[], $2::uuid[]) as c (batch_id, claim_id)
where b.batch_id = c.batch_id and b.claim_id = c.claim_id;

-- name: requeue
-- A new batch of pushes that are due again later, or wait in their route's lane.
insert into batches (workspace_id, message_id, priority, due_at, attempt, first_attempt_at, device_ids, person_ids, lane)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: next_due
-- Seconds until something is due that a worker may claim; null when nothing is. A claim that its worker lost comes back
-- at a worker's next look, which is never far.
with recursive queues as (
    (select workspace_id, priority, lane from batches order by workspace_id, priority, lane limit 1)
    union all
    select n.workspace_id, n.priority, n.lane
    from queues q cross join lateral (
        select workspace_id, priority, lane from batches
        where (workspace_id, priority, lane) > (q.workspace_id, q.priority, q.lane)
        order by workspace_id, priority, lane
        limit 1
    ) n
)
select extract(epoch from min(greatest(d.due_at, r.throttled_until)) - now())::float8
from queues q
left join routes r on r.route_id = q.lane
cross join lateral (
    select due_at from batches b
    where b.workspace_id = q.workspace_id and b.priority = q.priority and b.lane = q.lane and b.lease_until is null
    order by due_at
    limit 1
) d
where r.paused_at is null and not (q.lane = any ($1::bigint[]));

-- name: out_of_lane
-- What waits in a lane for a message that has expired leaves it, to be settled as that.
update batches b set lane = 0
from messages m
where m.message_id = b.message_id and b.lane <> 0 and m.expires_at <= now();

-- name: plan
-- The next page of a workspace's devices of which a condition (core/filter_sql.py) is true, cut into batches by the lane
-- that each is for; answers with the last of them.
with page as materialized (
    select d.device_id, d.person_id, coalesce(l.lane, 0) as lane
    from devices d
    left join unnest($5::text[], $6::text[], $7::text[], $8::bigint[]) as l (platform, app, environment, lane)
        on l.platform = d.platform and l.app = d.app and l.environment = d.environment
    where d.workspace_id = $1 and d.device_id > $9 and {condition}
    order by d.device_id
    limit $10
),
numbered as (
    select *, (row_number() over (partition by lane order by device_id) - 1) / $11 as batch from page
),
planned as (
    insert into batches (workspace_id, message_id, priority, due_at, device_ids, person_ids, lane)
    select $1, $2, $3, $4, array_agg(device_id), array_agg(person_id), lane
    from numbered
    group by lane, batch
)
select max(device_id) as last, count(*) as devices from page;

-- name: addresses
-- The kinds of device that a workspace has, as far as they decide the route.
select distinct platform, app, environment from devices where workspace_id = $1;
