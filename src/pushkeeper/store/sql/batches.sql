-- Batches are the queue: claimed with a lease, settled by whoever still holds the claim.

-- name: claim
-- Batches that are due and nobody works on, in turn, until they hold $3 devices.
with due as (
    select batch_id, priority, due_at, coalesce(cardinality(device_ids), 1) as size
    from batches
    where held_reason is null and due_at <= now() and (lease_until is null or lease_until < now())
    order by priority, due_at
    limit 500
    for update skip locked
),
turn as (
    select batch_id, sum(size) over (order by priority, due_at, batch_id) - size as ahead from due
)
update batches b set
    claim_id = $1,
    lease_until = now() + make_interval(secs => $2),
    claims = claims + 1,
    first_attempt_at = coalesce(first_attempt_at, now())
from turn t
where b.batch_id = t.batch_id and t.ahead < $3
returning b.batch_id, b.workspace_id, b.message_id, b.priority, b.attempt, b.first_attempt_at,
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
where c.claims = 1 or not exists (
    select from pushes x
    where x.message_day = c.message_day and x.message_id = c.message_id and x.device_id = p.device_id
);

-- name: messages
-- What the claimed batches say.
select message_id, content, send_to_unsubscribed, expires_at from messages where message_id = any ($1::uuid[]);

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

-- name: release
-- Give claims back, for anybody to take up at once.
update batches b set claim_id = null, lease_until = null
from unnest($1::bigint[], $2::uuid[]) as c (batch_id, claim_id)
where b.batch_id = c.batch_id and b.claim_id = c.claim_id;

-- name: requeue
-- A new batch of pushes that are due again later, or held for a route and a reason.
insert into batches (workspace_id, message_id, priority, due_at, attempt, first_attempt_at, device_ids, person_ids,
    held_route_id, held_reason)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: next_due
-- Seconds until something is due or a lease runs out; null when nothing waits.
select extract(epoch from min(greatest(due_at, coalesce(lease_until, due_at))) - now())::float8
from batches
where held_reason is null;
