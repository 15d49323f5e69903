-- Jobs: who works at which item, how often it was tried, when it is tried again, and why it failed.

-- name: plans
-- Broadcasts of which a page can be planned, or is; one that has enough batches waiting, or slots for the next minutes
-- taken, has time.
-- across workspaces: workers plan for all.
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
-- Broadcasts whose recipient file is to be fetched, or is being fetched.
-- across workspaces: workers read for all.
select b.workspace_id, b.broadcast_id as item_id, b.next_attempt_at as due_at, b.claimed_until
from broadcasts b
where b.state = 'fetching' and (b.claimed_until > now() or b.paused_at is null);

-- name: estimates
-- Pending and running estimates of broadcasts.
-- across workspaces: workers count for all.
select e.workspace_id, e.broadcast_id as item_id, e.next_attempt_at as due_at, e.claimed_until
from broadcast_estimates e
where e.state = 'pending';

-- name: exports
-- Pending and running exports.
-- across workspaces: workers write for all.
select e.workspace_id, e.export_id as item_id, e.next_attempt_at as due_at, e.claimed_until
from exports e
where e.state = 'pending';

-- name: imports
-- Imports whose file is there and not read to its end.
-- across workspaces: workers read for all.
select i.workspace_id, i.import_id as item_id, i.next_attempt_at as due_at, i.claimed_until
from imports i
where i.state = 'pending';

-- name: webhooks
-- Webhooks that something waits for, or that are being called.
-- across workspaces: workers post for all.
select w.workspace_id, w.webhook_id as item_id, w.due_at, w.claimed_until
from webhooks w
where w.claimed_until > now() or (not w.disabled
    and exists (select from outbox o where o.workspace_id = w.workspace_id and o.webhook_id = w.webhook_id));

-- name: claim
-- Items that are due, for this worker alone until its lease ends: of each workspace one before a second of any, first of those
-- whose last turn is longest ago, and no more of a workspace at once than its share.
-- across workspaces: workers serve all.
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
-- Seconds until the next item is due; null without one.
-- across workspaces: workers serve all.
select extract(epoch from min(o.due_at) - now())::float8 from ({open}) o where o.due_at > now();

-- name: alone
-- Lock claims of a kind until the transaction ends, so that running items are counted correctly.
select pg_advisory_xact_lock(hashtextextended('pushkeeper job ' || $1 || ' ' || current_schema(), 0));

-- name: renew
-- Renew the lease; returns no row if another worker has the item by now.
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
-- Fail the planning of a broadcast; its listed people are deleted.
with failed as (
    update broadcasts set state = 'failed', failure = $4, claimed_until = null, claim_id = null, last_error = $4
    where workspace_id = $1 and broadcast_id = $2 and claim_id = $3 and state in ('scheduled', 'fetching', 'planning')
    returning workspace_id, broadcast_id, listed
)
delete from broadcast_people p using failed f
where p.workspace_id = f.workspace_id and p.broadcast_id = f.broadcast_id and not f.listed;

-- name: fail_estimate
-- An estimate can't be made, and why.
update broadcast_estimates set state = 'failed', failure = $4, claimed_until = null, claim_id = null, last_error = $4
where workspace_id = $1 and broadcast_id = $2 and claim_id = $3 and state = 'pending';

-- name: fail_export
-- Fail an export; its text is deleted.
with failed as (
    update exports set state = 'failed', failure = $4, updated_at = now(), claimed_until = null, claim_id = null,
        last_error = $4
    where workspace_id = $1 and export_id = $2 and claim_id = $3 and state = 'pending'
    returning workspace_id, export_id
)
delete from export_parts p using failed f where p.workspace_id = f.workspace_id and p.export_id = f.export_id;

-- name: fail_webhook
-- Fail a webhook; its queue is kept.
update webhooks set disabled = true, failure = $4, failing_since = coalesce(failing_since, now()), claimed_until = null,
    claim_id = null, last_error = $4
where workspace_id = $1 and webhook_id = $2 and claim_id = $3;

-- name: of_broadcasts
-- Broadcasts that are not planned, or can't be.
-- across workspaces: the caller chooses the workspace.
select b.workspace_id, case when b.file_url is not null and not b.listed then 'file' else 'plan' end as kind,
    b.broadcast_id as item_id, b.name,
    case when b.state = 'failed' then 'failed' when b.claimed_until > now() then 'running'
        when b.last_error is not null then 'put_off' else 'waiting' end as state,
    b.attempts, greatest(b.next_attempt_at, b.pass_at) as next_attempt_at, coalesce(b.failure, b.last_error) as reason,
    b.created_at
from broadcasts b
where b.state in ('scheduled', 'fetching', 'planning', 'failed') and {whose};

-- name: of_estimates
-- Estimates that are not made, or can't be.
-- across workspaces: the caller chooses the workspace.
select e.workspace_id, 'estimate' as kind, e.broadcast_id as item_id, b.name,
    case when e.state = 'failed' then 'failed' when e.claimed_until > now() then 'running'
        when e.last_error is not null then 'put_off' else 'waiting' end as state,
    e.attempts, e.next_attempt_at, coalesce(e.failure, e.last_error) as reason, e.asked_at as created_at
from broadcast_estimates e join broadcasts b using (workspace_id, broadcast_id)
where e.state in ('pending', 'failed') and {whose};

-- name: of_exports
-- Exports that are not written, or can't be.
-- across workspaces: the caller chooses the workspace.
select e.workspace_id, 'export' as kind, e.export_id as item_id, e.kind as name,
    case when e.state = 'failed' then 'failed' when e.claimed_until > now() then 'running'
        when e.last_error is not null then 'put_off' else 'waiting' end as state,
    e.attempts, e.next_attempt_at, coalesce(e.failure, e.last_error) as reason, e.created_at
from exports e
where e.state in ('pending', 'failed') and e.kind in ('customers', 'deliveries') and {whose};

-- name: of_imports
-- Imports that are not done, or can't be.
-- across workspaces: the caller chooses the workspace.
select i.workspace_id, 'import' as kind, i.import_id as item_id, i.name,
    case when i.state = 'failed' then 'failed' when i.claimed_until > now() then 'running'
        when i.last_error is not null then 'put_off' else 'waiting' end as state,
    i.attempts, i.next_attempt_at, coalesce(i.failure, i.last_error) as reason, i.created_at
from imports i
where i.state in ('pending', 'failed') and {whose};

-- name: of_webhooks
-- Webhooks that fail, or were disabled.
-- across workspaces: the caller chooses the workspace.
select h.workspace_id, 'webhook' as kind, h.webhook_id as item_id, h.name,
    case when h.disabled then 'failed' when h.claimed_until > now() then 'running' else 'put_off' end as state,
    greatest(h.failures, h.attempts) as attempts, h.due_at as next_attempt_at, coalesce(h.failure, h.last_error) as reason,
    h.created_at
from webhooks h
where (h.failing_since is not null or h.last_error is not null) and {whose};

-- name: of_workspace
-- The jobs of a workspace that are not done, the newest first.
select j.kind, j.item_id, j.name, j.state, j.attempts, j.next_attempt_at, j.reason, j.created_at
from ({own_jobs}) j
where ($2::text is null or (j.kind = $2 and j.item_id = $3))
order by j.created_at desc, j.kind, j.item_id
limit 200;

-- name: state_counts
-- How many jobs are not done, by kind and state.
-- across workspaces: the installation is measured.
select j.kind, j.state, count(*) as jobs from ({jobs}) j group by 1, 2;

-- name: troubled
-- Jobs that failed in the last week or were put off several times, the newest first.
-- across workspaces: the installation is examined.
select w.name as workspace, j.kind, j.item_id, j.state, j.attempts, j.reason
from ({jobs}) j join workspaces w using (workspace_id)
where j.kind <> 'webhook' and (j.attempts > 2 or (j.state = 'failed' and j.created_at > now() - interval '7 days'))
order by j.created_at desc
limit 100;

-- name: retry_broadcast
-- A broadcast is planned again from where that stopped, now and with all its attempts.
update broadcasts set
    state = case when state <> 'failed' then state when file_url is not null and not listed then 'fetching' else 'planning' end,
    failure = null, last_error = null, attempts = 0, next_attempt_at = now()
where workspace_id = $1 and broadcast_id = $2 and state in ('scheduled', 'fetching', 'planning', 'failed')
returning broadcast_id;

-- name: retry_estimate
-- An estimate is made again, now and with all its attempts.
update broadcast_estimates set state = 'pending', failure = null, last_error = null, attempts = 0, next_attempt_at = now()
where workspace_id = $1 and broadcast_id = $2 and state in ('pending', 'failed')
returning broadcast_id;

-- name: fail_import
-- Fail an import; what it has written stays, as does its file, for another attempt.
update imports set state = 'failed', failure = $4, updated_at = now(), claimed_until = null, claim_id = null, last_error = $4
where workspace_id = $1 and import_id = $2 and claim_id = $3 and state = 'pending';

-- name: retry_export
-- An export is written again, now and with all its attempts.
update exports set state = 'pending', failure = null, last_error = null, attempts = 0, next_attempt_at = now(),
    updated_at = now()
where workspace_id = $1 and export_id = $2 and state in ('pending', 'failed') and kind in ('customers', 'deliveries')
returning export_id;

-- name: retry_import
-- Retry an import, now and with all its attempts.
update imports set state = 'pending', failure = null, last_error = null, attempts = 0, next_attempt_at = now(),
    updated_at = now()
where workspace_id = $1 and import_id = $2 and state in ('pending', 'failed')
returning import_id;

-- name: retry_webhook
-- A webhook is called again, now.
update webhooks set disabled = false, failures = 0, failing_since = null, failure = null, last_error = null, attempts = 0,
    due_at = now()
where workspace_id = $1 and webhook_id = $2
returning webhook_id;

-- name: cancel_estimate
-- An estimate is not wanted any more.
delete from broadcast_estimates where workspace_id = $1 and broadcast_id = $2 and state in ('pending', 'failed')
returning broadcast_id;

-- name: cancel_export
-- Cancel an export; its text is deleted.
with cancelled as (
    update exports set state = 'cancelled', failure = null, updated_at = now(), claimed_until = null, claim_id = null
    where workspace_id = $1 and export_id = $2 and state in ('pending', 'failed') and kind in ('customers', 'deliveries')
    returning workspace_id, export_id
),
gone as (
    delete from export_parts p using cancelled c where p.workspace_id = c.workspace_id and p.export_id = c.export_id
)
select export_id from cancelled;

-- name: cancel_import
-- An import is not wanted any more: what is written of it stays, and its file goes.
with cancelled as (
    update imports set state = 'cancelled', failure = null, fetch_from = null, updated_at = now(), claimed_until = null, claim_id = null
    where workspace_id = $1 and import_id = $2 and state in ('uploading', 'pending', 'failed')
    returning workspace_id, import_id
),
seen as (
    delete from import_keys k using cancelled c where k.workspace_id = c.workspace_id and k.import_id = c.import_id
),
gone as (
    delete from import_parts p using cancelled c where p.workspace_id = c.workspace_id and p.import_id = c.import_id
)
select import_id from cancelled;

-- name: cancel_webhook
-- Disable a webhook; its queue is kept.
update webhooks set disabled = true, claimed_until = null, claim_id = null
where workspace_id = $1 and webhook_id = $2
returning webhook_id;
