-- Jobs: who works at which item, how often it was tried, when it is tried again, and why it failed.

-- name: plans
-- Broadcasts of which a page can be planned, or is; one that has enough batches waiting, or slots for the next minutes
-- taken, has time.
-- across workspaces: whoever plans does so for all.
select b.workspace_id, b.broadcast_id as item_id, greatest(b.next_attempt_at, b.pass_at) as due_at, b.claimed_until
from broadcasts b
where b.state in ('scheduled', 'planning') and (b.claimed_until > now() or (
    b.paused_at is null
    and (b.next_slot_at is null or b.next_slot_at < now() + interval '10 minutes')
    and (select count(*) from (
            select from batches q
            where q.workspace_id = b.workspace_id and q.message_id = b.message_id and q.due_at < now() + interval '1 hour'
            limit {most_batches}
        ) waiting) < {most_batches}));

-- name: files
-- Broadcasts whose recipients are in a file that is to be read, or is.
-- across workspaces: whoever reads does so for all.
select b.workspace_id, b.broadcast_id as item_id, b.next_attempt_at as due_at, b.claimed_until
from broadcasts b
where b.state = 'fetching' and (b.claimed_until > now() or b.paused_at is null);

-- name: exports
-- Exports that are to be written, or are being written.
-- across workspaces: whoever writes does so for all.
select e.workspace_id, e.export_id as item_id, e.next_attempt_at as due_at, e.claimed_until
from exports e
where e.state = 'pending';

-- name: webhooks
-- Webhooks that something waits for, or that are being called.
-- across workspaces: whoever posts does so for all.
select w.workspace_id, w.webhook_id as item_id, w.due_at, w.claimed_until
from webhooks w
where w.claimed_until > now() or (not w.disabled
    and exists (select from outbox o where o.workspace_id = w.workspace_id and o.webhook_id = w.webhook_id));

-- name: claim
-- Items that are due, for this worker alone until its lease ends: of each workspace one before a second of any, first of those
-- whose last turn is longest ago, and no more of a workspace at once than its share.
-- across workspaces: whoever works does so for all.
with open as materialized ({open}),
running as (
    select workspace_id, count(*) as items from open where claimed_until > now() group by workspace_id
),
due as (
    select o.workspace_id, o.item_id, t.claimed_at, coalesce(r.items, 0)
        + row_number() over (partition by o.workspace_id order by o.due_at, o.item_id) as place
    from open o
        left join running r on r.workspace_id = o.workspace_id
        left join job_turns t on t.workspace_id = o.workspace_id and t.kind = $1
    where o.due_at <= now() and (o.claimed_until is null or o.claimed_until <= now())
),
chosen as materialized (
    select workspace_id, item_id from due
    where place <= $4 order by place, claimed_at nulls first, workspace_id limit $3
),
turns as (
    insert into job_turns (workspace_id, kind, claimed_at)
    select c.workspace_id, $1, clock_timestamp() from chosen c group by c.workspace_id
    on conflict (workspace_id, kind) do update set claimed_at = excluded.claimed_at
)
update {table} i set claimed_until = now() + make_interval(secs => $2), claim_id = gen_random_uuid(),
    attempts = i.attempts + 1
from chosen c
where i.workspace_id = c.workspace_id and i.{key} = c.item_id
returning i.workspace_id, i.{key} as item_id, i.claim_id, i.attempts;

-- name: next_due_s
-- Seconds until the next item that is not due yet; null when there is none.
-- across workspaces: whoever works does so for all.
select extract(epoch from min(o.due_at) - now())::float8 from ({open}) o where o.due_at > now();

-- name: alone
-- Let nobody else claim items of a kind until the transaction ends, so that nobody counts what is running amiss.
select pg_advisory_xact_lock(hashtextextended('pushkeeper job ' || $1, 0));

-- name: renew
-- The lease goes on; no row comes back where somebody else has the item by now.
update {table} set claimed_until = now() + make_interval(secs => $4)
where workspace_id = $1 and {key} = $2 and claim_id = $3
returning claim_id;

-- name: finish
-- Something was done: what is left of the item has its turn after all others.
update {table} set claimed_until = null, claim_id = null, attempts = 0, last_error = null, {next} = now()
where workspace_id = $1 and {key} = $2 and claim_id = $3;

-- name: give_back
-- Nothing was done, for no reason of the item: it does not count as an attempt.
update {table} set claimed_until = null, claim_id = null, attempts = greatest(attempts - 1, 0),
    {next} = now() + make_interval(secs => $4)
where workspace_id = $1 and {key} = $2 and claim_id = $3;

-- name: put_off
-- An attempt failed, and why: it is tried again later.
update {table} set claimed_until = null, claim_id = null, last_error = $5, {next} = now() + make_interval(secs => $4)
where workspace_id = $1 and {key} = $2 and claim_id = $3;

-- name: fail_broadcast
-- A broadcast can't be planned, and why; who was listed so far is not.
with failed as (
    update broadcasts set state = 'failed', failure = $4, claimed_until = null, claim_id = null, last_error = $4
    where workspace_id = $1 and broadcast_id = $2 and claim_id = $3 and state in ('scheduled', 'fetching', 'planning')
    returning workspace_id, message_id, listed
)
delete from message_people p using failed f
where p.workspace_id = f.workspace_id and p.message_id = f.message_id and not f.listed;

-- name: fail_export
-- An export can't be written, and why; what there is of it goes.
with failed as (
    update exports set state = 'failed', failure = $4, updated_at = now(), claimed_until = null, claim_id = null,
        last_error = $4
    where workspace_id = $1 and export_id = $2 and claim_id = $3 and state = 'pending'
    returning workspace_id, export_id
)
delete from export_parts p using failed f where p.workspace_id = f.workspace_id and p.export_id = f.export_id;

-- name: fail_webhook
-- A webhook can't be called, and why; what waits for it is kept.
update webhooks set disabled = true, failure = $4, failing_since = coalesce(failing_since, now()), claimed_until = null,
    claim_id = null, last_error = $4
where workspace_id = $1 and webhook_id = $2 and claim_id = $3;
