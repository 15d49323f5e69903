-- Batches are the queue: claimed with a lease, settled by the holder of the claim. Workers serve all workspaces.

-- name: claim
-- Batches that are due and nobody works on, until they hold $3 devices, of which $4 may be other than urgent.
-- Workspaces and priorities take weighted turns, with room reserved for urgent batches. Skipped are lanes that are paused,
-- throttled or full ($5, $6), and workspaces whose sending is paused, except for their expired pushes (lane -1).
-- across workspaces: it is one queue.
with recursive queues as (
    (select workspace_id, priority, lane from batches where not parked order by workspace_id, priority, lane limit 1)
    union all
    select n.workspace_id, n.priority, n.lane
    from queues q cross join lateral (
        select workspace_id, priority, lane from batches
        where not parked and (workspace_id, priority, lane) > (q.workspace_id, q.priority, q.lane)
        order by workspace_id, priority, lane
        limit 1
    ) n
),
open as (
    select q.workspace_id, q.priority, q.lane, coalesce(l.room, $3) as room
    from queues q
    left join routes r on r.workspace_id = q.workspace_id and r.route_id = q.lane
    left join sending_pauses s on s.workspace_id = q.workspace_id
    left join unnest($5::bigint[], $6::int[]) as l (lane, room) on l.lane = q.lane
    where (s.workspace_id is null or q.lane = -1) and r.paused_at is null and (r.throttled_until is null or r.throttled_until <= now())
        and coalesce(l.room, 1) > 0
),
due as materialized (
    select o.workspace_id, o.priority, o.lane, o.room, d.batch_id, d.due_at, d.size
    from open o cross join lateral (
        select batch_id, due_at, coalesce(cardinality(device_ids), 1) as size
        from batches b
        where not b.parked and b.workspace_id = o.workspace_id and b.priority = o.priority and b.lane = o.lane
            and b.due_at <= now() and (b.lease_until is null or b.lease_until < now())
        order by b.due_at
        limit case when o.priority = 0 then 500 else 16 end
        for update skip locked
    ) d
),
turn as (
    select workspace_id, batch_id, priority, size, room,
        sum(size) over (partition by workspace_id, lane order by priority, due_at, batch_id) - size as ahead_in_lane,
        (sum(size) over (partition by workspace_id, priority order by due_at, batch_id) - size)
            / (case priority when 0 then 16.0 when 1 then 4.0 else 1.0 end) as turn
    from due
),
taken as (
    select workspace_id, batch_id, priority, sum(size) over in_turn - size as ahead,
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
where b.workspace_id = t.workspace_id and b.batch_id = t.batch_id
    and case when t.priority = 0 then t.urgent_ahead < $3 else t.ahead < $4 end
returning b.batch_id, b.workspace_id, b.message_id, b.priority, b.attempt, b.first_attempt_at, b.due_at, b.slot_at;

-- name: take_slots
-- Claimed batches of broadcasts with a bounded rate may go if their slot has just come; of the others each gets the next
-- one of its broadcast, and waits for that. Answers with those that wait.
with late as (
    select b.workspace_id, b.batch_id, b.message_id, coalesce(cardinality(b.device_ids), 1) as size
    from batches b join unnest($1::bigint[], $2::bigint[]) as c (workspace_id, batch_id) using (workspace_id, batch_id)
    where b.slot_at < now() - interval '2 seconds'
),
rates as (
    select r.workspace_id, r.message_id, r.per_s, greatest(r.next_slot_at, now()) as free_at
    from broadcasts r
    where (r.workspace_id, r.message_id) in (select workspace_id, message_id from late) and r.per_s is not null
    order by r.workspace_id, r.message_id
    for update
),
slots as (
    select l.workspace_id, l.batch_id, r.message_id, r.free_at + make_interval(secs => ahead / r.per_s) as slot_at,
        r.free_at + make_interval(secs => (ahead + l.size) / r.per_s) as end_at
    from (
        select *, sum(size) over (partition by message_id order by batch_id) - size as ahead from late
    ) l
    join rates r using (workspace_id, message_id)
),
used as (
    update broadcasts r set next_slot_at = s.end_at
    from (select workspace_id, message_id, max(end_at) as end_at from slots group by 1, 2) s
    where r.workspace_id = s.workspace_id and r.message_id = s.message_id
)
update batches b set
    slot_at = s.slot_at,
    due_at = s.slot_at,
    claim_id = case when s.slot_at <= now() then claim_id end,
    lease_until = case when s.slot_at <= now() then lease_until end,
    claims = claims - case when s.slot_at <= now() then 0 else 1 end,
    first_attempt_at = case when s.slot_at <= now() or attempt > 0 then first_attempt_at end
from slots s
where b.workspace_id = s.workspace_id and b.batch_id = s.batch_id
returning b.batch_id, b.claim_id is null as waits;

-- name: targets
-- Every device of the claimed batches in its current state, with the person it was planned for; pushes that a former
-- claim has settled are left out.
with claimed as (
    select b.batch_id, b.workspace_id, b.message_id, b.device_ids, b.person_ids, b.person_id, b.pick, b.claims,
        (m.created_at at time zone 'utc')::date as message_day, m.send_to_unsubscribed, m.platforms,
        coalesce(r.skip_without_permission, false) as skip_without_permission,
        coalesce(r.one_per_phone, false) as one_per_phone,
        r.schedule ? 'window' as asks_zone
    from unnest($1::bigint[], $2::bigint[]) as k (workspace_id, batch_id)
        join batches b using (workspace_id, batch_id)
        join messages m using (workspace_id, message_id)
        left join broadcasts r using (workspace_id, message_id)
),
planned as (
    select c.workspace_id, c.batch_id, p.device_id, p.person_id as planned_for
    from claimed c, unnest(c.device_ids, c.person_ids) as p (device_id, person_id)
    union all
    select c.workspace_id, c.batch_id, d.device_id, c.person_id
    from claimed c join devices d on d.workspace_id = c.workspace_id and d.person_id = c.person_id
    where c.pick = 'all'
    union all
    select c.workspace_id, c.batch_id, d.device_id, c.person_id
    from claimed c cross join lateral (
        select device_id from devices d
        where d.workspace_id = c.workspace_id and d.person_id = c.person_id
        order by d.status = 'suppressed' or coalesce(d.platform <> all (c.platforms), d.platform = 'web'), d.last_used desc, d.device_id
        limit 1
    ) d
    where c.pick = 'last_used'
)
select p.batch_id, p.device_id, p.planned_for, d.person_id, d.token, d.id_kind, d.platform, d.app, d.environment,
    d.status, d.generation, d.registered_at, d.browser_keys, d.vapid_key,
    skip_reason(
        d.person_id = p.planned_for, d.status, w.unsubscribed, w.attributes, d.attributes,
        exists (select from later_tokens(d.workspace_id, d.person_id, d.platform, phone_of(d.attributes), d.last_used, d.device_id)),
        d.platform, c.send_to_unsubscribed, c.skip_without_permission, c.one_per_phone, c.platforms
    ) as skip,
    case when c.asks_zone then coalesce(d.attributes ->> 'timezone', w.attributes ->> 'timezone') end as zone
from planned p
join claimed c using (workspace_id, batch_id)
left join devices d using (workspace_id, device_id)
left join people w on w.workspace_id = p.workspace_id and w.person_id = p.planned_for
where c.claims = 1 or not (
    exists (
        select from pushes x
        where x.workspace_id = c.workspace_id and x.message_day = c.message_day and x.message_id = c.message_id
            and x.device_id = p.device_id
    )
    or exists (
        select from held_verdicts h
        where h.workspace_id = c.workspace_id and h.message_id = c.message_id and h.device_id = p.device_id
    )
);

-- name: messages
-- What the claimed batches say.
select m.message_id, m.content, m.wording, m.expires_at, m.stop_reason,
    r.cancelled_at is not null as cancelled, r.paused_at is not null or s.workspace_id is not null as paused,
    coalesce(r.dry_run, false) as dry_run, coalesce(r.schedule, '{}') as schedule
from unnest($1::bigint[], $2::uuid[]) as k (workspace_id, message_id)
    join messages m using (workspace_id, message_id)
    left join broadcasts r using (workspace_id, message_id)
    left join sending_pauses s using (workspace_id);

-- name: halted
-- Which of these messages are cancelled or paused.
select m.message_id
from unnest($1::bigint[], $2::uuid[]) as k (workspace_id, message_id)
    join messages m using (workspace_id, message_id)
    left join broadcasts r using (workspace_id, message_id)
    left join sending_pauses s using (workspace_id)
where m.stop_reason is not null or r.cancelled_at is not null or r.paused_at is not null or s.workspace_id is not null;

-- name: park
-- Nobody claims a message's batches.
update batches set parked = true where workspace_id = $1 and message_id = $2;

-- name: unpark
-- A message's batches may be claimed again; with $3 at once, whatever they waited for, even while sending is paused.
update batches set parked = false, due_at = case when $3 then now() else due_at end,
    lane = case when $3 then -1 else lane end, slot_at = case when $3 then null else slot_at end
where workspace_id = $1 and message_id = $2;

-- name: renew
-- Keep claims for another while; one that was lost meanwhile does not come back.
update batches b set lease_until = now() + make_interval(secs => $4)
from unnest($1::bigint[], $2::bigint[], $3::uuid[]) as c (workspace_id, batch_id, claim_id)
where b.workspace_id = c.workspace_id and b.batch_id = c.batch_id and b.claim_id = c.claim_id
returning b.batch_id;

-- name: still_claimed
-- Which of these claims are still valid; they stay valid until the end of the transaction, whose number is returned too.
select b.batch_id, pg_current_xact_id()::text as number, pg_postmaster_start_time() as server_started_at
from batches b
    join unnest($1::bigint[], $2::bigint[], $3::uuid[]) as c (workspace_id, batch_id, claim_id)
        using (workspace_id, batch_id, claim_id)
order by b.batch_id
for update of b;

-- name: devices
-- Those of these batches that there are still, with their devices where they name them one by one.
select batch_id, device_ids
from batches b join unnest($1::bigint[], $2::bigint[]) as k (workspace_id, batch_id) using (workspace_id, batch_id);

-- name: shrink
-- A batch keeps the devices that are not settled yet.
update batches set device_ids = $3, person_ids = $4, person_id = null, pick = null
where workspace_id = $1 and batch_id = $2;

-- name: delete
-- All of these batches is settled.
delete from batches b using unnest($1::bigint[], $2::bigint[]) as k (workspace_id, batch_id)
where b.workspace_id = k.workspace_id and b.batch_id = k.batch_id;

-- name: drop_empty
-- Batches without a device are over; a person without devices gets a record, unless one of theirs is settled already.
with gone as (
    delete from batches b using unnest($1::bigint[], $2::bigint[], $3::uuid[]) as c (workspace_id, batch_id, claim_id)
    where b.workspace_id = c.workspace_id and b.batch_id = c.batch_id and b.claim_id = c.claim_id
    returning b.workspace_id, b.message_id, b.person_id
)
insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, reason)
select (m.created_at at time zone 'utc')::date, g.message_id, int8send(g.person_id), g.workspace_id, g.person_id,
    'skipped', 'no_device'
from gone g join messages m using (workspace_id, message_id)
where g.person_id is not null and not exists (
    select from pushes x where x.workspace_id = g.workspace_id and x.message_day = (m.created_at at time zone 'utc')::date
        and x.message_id = g.message_id and x.person_id = g.person_id)
on conflict do nothing;

-- name: release
-- Give claims back, for anybody to take up at once.
update batches b set claim_id = null, lease_until = null
from unnest($1::bigint[], $2::bigint[], $3::uuid[]) as c (workspace_id, batch_id, claim_id)
where b.workspace_id = c.workspace_id and b.batch_id = c.batch_id and b.claim_id = c.claim_id;

-- name: requeue
-- A new batch of pushes that are due again later, or wait in their route's lane; of a paused broadcast it is parked, and
-- with $10 it uses a new slot of its broadcast's rate. What was not attempted has its first attempt before it.
insert into batches (workspace_id, message_id, priority, due_at, attempt, first_attempt_at, device_ids, person_ids, lane,
    parked, slot_at)
select $1::bigint, $2::uuid, $3::smallint, $4::timestamptz, $5::smallint, case when $5 > 0 then $6::timestamptz end,
    $7::bytea[], $8::bigint[], $9::bigint,
    exists (select from broadcasts r where r.workspace_id = $1 and r.message_id = $2 and r.paused_at is not null),
    case when $10::boolean then '-infinity'::timestamptz end;

-- name: next_due
-- Seconds until something is due that a worker may claim; null when nothing is. A claim that its worker lost comes back
-- at a worker's next look, which is never far.
-- across workspaces: it is one queue.
with recursive queues as (
    (select workspace_id, priority, lane from batches where not parked order by workspace_id, priority, lane limit 1)
    union all
    select n.workspace_id, n.priority, n.lane
    from queues q cross join lateral (
        select workspace_id, priority, lane from batches
        where not parked and (workspace_id, priority, lane) > (q.workspace_id, q.priority, q.lane)
        order by workspace_id, priority, lane
        limit 1
    ) n
)
select extract(epoch from min(greatest(d.due_at, r.throttled_until)) - now())::float8
from queues q
left join routes r on r.workspace_id = q.workspace_id and r.route_id = q.lane
left join sending_pauses s on s.workspace_id = q.workspace_id
cross join lateral (
    select due_at from batches b
    where not b.parked and b.workspace_id = q.workspace_id and b.priority = q.priority and b.lane = q.lane
        and b.lease_until is null
    order by due_at
    limit 1
) d
where (s.workspace_id is null or q.lane = -1) and r.paused_at is null and not (q.lane = any ($1::bigint[]));

-- name: out_of_lane
-- Move batches of expired messages that wait in a lane, or for a workspace whose sending is paused, to lane -1, which no
-- pause stops, so that they are settled as expired.
-- across workspaces: it is one queue.
update batches b set lane = -1
from messages m left join sending_pauses s using (workspace_id)
where m.workspace_id = b.workspace_id and m.message_id = b.message_id and m.expires_at <= now()
    and (b.lane > 0 or b.lane = 0 and s.workspace_id is not null);
