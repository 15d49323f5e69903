-- Reporting webhooks, and their queues.

-- name: insert
-- A new webhook; no row comes back where the workspace has as many as it may.
insert into webhooks (workspace_id, name, endpoint, events, disabled, full_resolution, with_content, sealed)
select $1, $2, $3, $4, $5, $6, $7, $8
where (select count(*) from webhooks where workspace_id = $1) < $9
returning webhook_id;

-- name: all
-- The webhooks of a workspace, the oldest first.
select w.webhook_id, w.workspace_id, w.name, w.endpoint, w.events, w.disabled, w.full_resolution, w.with_content,
    w.failing_since, w.failure, w.failures, w.due_at, w.created_at, (select count(*) from outbox o
        where o.workspace_id = w.workspace_id and o.webhook_id = w.webhook_id) as waiting
from webhooks w
where w.workspace_id = $1 and ($2::bigint is null or w.webhook_id = $2)
order by w.webhook_id;

-- name: change
-- Change the given fields of a webhook; one that is enabled again continues at once.
update webhooks set name = coalesce($3, name), endpoint = coalesce($4, endpoint), events = coalesce($5, events),
    disabled = coalesce($6, disabled), full_resolution = coalesce($7, full_resolution),
    with_content = coalesce($8, with_content),
    failures = 0, failing_since = null, failure = null, attempts = 0, last_error = null, due_at = now()
where workspace_id = $1 and webhook_id = $2
returning webhook_id;

-- name: delete
-- Delete a webhook and its queue.
delete from webhooks where workspace_id = $1 and webhook_id = $2 returning webhook_id;

-- name: turn
-- A claimed webhook.
select webhook_id, workspace_id, endpoint, with_content, sealed, failures, failing_since
from webhooks where workspace_id = $1 and webhook_id = $2;

-- name: report_attempts
-- Failed attempts that will be retried, for the webhooks that subscribe to them.
insert into outbox (workspace_id, webhook_id, object_type, metric, message_id, person_id, data, happened_at)
select w.workspace_id, w.webhook_id, 'push', 'attempted', a.message_id, a.person_id,
    jsonb_build_object('failure_message', left(string_agg(distinct
        failure_text(a.reason, a.provider_status, a.provider_reason, a.detail), '; '), 1000)),
    now()
from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::smallint[], $6::text[], $7::text[])
        as a (workspace_id, message_id, person_id, reason, provider_status, provider_reason, detail)
    join webhooks w on w.workspace_id = a.workspace_id and not w.disabled and 'push_attempted' = any (w.events)
group by w.workspace_id, w.webhook_id, a.message_id, a.person_id;

-- name: waiting
-- The queue of a webhook after an event, oldest first, with the person and the message.
select o.outbox_id, o.event_id, o.object_type, o.metric, o.message_id, o.person_id, o.data, o.happened_at, o.attempts,
    m.kind, m.template_id, case when m.retained then m.content end as content,
    (select broadcast_id from broadcasts b
        where b.workspace_id = o.workspace_id and b.message_id = o.message_id) as broadcast_id,
    (select value from identifiers i
        where i.workspace_id = o.workspace_id and i.person_id = o.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = o.workspace_id and i.person_id = o.person_id and kind = 'email') as email
from outbox o left join messages m using (workspace_id, message_id)
where o.workspace_id = $1 and o.webhook_id = $2 and o.outbox_id > $4
order by o.outbox_id
limit $3;

-- name: settle
-- Finish a turn with these calls, if this worker still has it: posted events leave the outbox; a failed one waits, with
-- all later ones, for a time or until enabled. The last calls are kept. The outbox is locked after the webhook, as in a
-- deletion.
with called as materialized (
    select * from rows from (jsonb_to_recordset($3::jsonb) as (outbox_id bigint, at timestamptz, event_id uuid,
        object_type text, metric text, message_id uuid, person_id bigint, attempt int, status smallint, failure text,
        took_ms int, left_out boolean)) with ordinality
        as c (outbox_id, at, event_id, object_type, metric, message_id, person_id, attempt, status, failure, took_ms, left_out,
            place)
),
came as (
    select count(*) as calls, coalesce(bool_or(failure is null), false) as taken,
        max(failure) filter (where not left_out) as failure
    from called
),
settled as (
    update webhooks w set claimed_until = null, claim_id = null, attempts = 0, last_error = null,
        calls = w.calls + came.calls, failure = came.failure,
        failures = case when came.failure is null then 0 when came.taken then 1 else w.failures + 1 end,
        failing_since = case when came.failure is null then null when came.taken then now()
            else coalesce(w.failing_since, now()) end,
        due_at = now() + make_interval(secs => $4),
        disabled = w.disabled or $5
    from came
    where w.workspace_id = $1 and w.webhook_id = $2 and w.claim_id = $7
    returning w.workspace_id, w.webhook_id, w.calls as last, w.calls - came.calls as before
),
taken as (
    delete from outbox o using settled s, called c
    where o.workspace_id = s.workspace_id and o.webhook_id = s.webhook_id and o.outbox_id = c.outbox_id
        and (c.failure is null or c.left_out)
),
tried as (
    update outbox o set attempts = c.attempt
    from settled s, called c
    where o.workspace_id = s.workspace_id and o.webhook_id = s.webhook_id and o.outbox_id = c.outbox_id
        and c.failure is not null and not c.left_out
),
logged as (
    insert into webhook_calls (workspace_id, webhook_id, call, at, event_id, object_type, metric, message_id, person_id,
        attempt, status, failure, took_ms)
    select s.workspace_id, s.webhook_id, s.before + c.place, c.at, c.event_id, c.object_type, c.metric, c.message_id, c.person_id, c.attempt,
        c.status, c.failure, c.took_ms
    from settled s, called c
)
delete from webhook_calls o using settled s
where o.workspace_id = s.workspace_id and o.webhook_id = s.webhook_id and o.call <= s.last - $6;

-- name: log
-- A call that was made out of turn, about nothing that waits; the last calls are kept.
with numbered as (
    update webhooks set calls = calls + 1 where workspace_id = $1 and webhook_id = $2
    returning workspace_id, webhook_id, calls
),
logged as (
    insert into webhook_calls (workspace_id, webhook_id, call, at, event_id, object_type, metric, attempt, status, failure,
        took_ms)
    select workspace_id, webhook_id, calls, $4, $5, $6, $7, 1, $8, $9, $10 from numbered
)
delete from webhook_calls o using numbered n
where o.workspace_id = n.workspace_id and o.webhook_id = n.webhook_id and o.call <= n.calls - $3;

-- name: calls
-- The last calls of a webhook before one of them, the newest first.
select call, at, event_id, object_type, metric, message_id, person_id, attempt, status, failure, took_ms
from webhook_calls
where workspace_id = $1 and webhook_id = $2 and ($3::bigint is null or call < $3)
order by call desc
limit $4;
