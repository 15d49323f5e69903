-- Reporting webhooks, and what waits to be posted to them.

-- name: insert
-- A new webhook.
insert into webhooks (workspace_id, name, endpoint, events, disabled, full_resolution, with_content, sealed)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning webhook_id;

-- name: all
-- The webhooks of a workspace, the oldest first.
select w.webhook_id, w.workspace_id, w.name, w.endpoint, w.events, w.disabled, w.full_resolution, w.with_content,
    w.failing_since, w.failure, w.failures, w.due_at, w.created_at, (select count(*) from outbox o where o.webhook_id = w.webhook_id) as waiting
from webhooks w
where w.workspace_id = $1 and ($2::bigint is null or w.webhook_id = $2)
order by w.webhook_id;

-- name: change
-- A webhook as it is to be; one that is enabled again goes on at once.
update webhooks set name = $3, endpoint = $4, events = $5, disabled = $6, full_resolution = $7, with_content = $8,
    failures = 0, failing_since = null, failure = null, due_at = now()
where workspace_id = $1 and webhook_id = $2
returning webhook_id;

-- name: delete
-- The webhook is gone, and what waited for it.
delete from webhooks where workspace_id = $1 and webhook_id = $2 returning webhook_id;

-- name: claim
-- Webhooks that something waits for and whose turn it is, for this worker alone for a while.
update webhooks set claimed_until = now() + make_interval(secs => $1)
where webhook_id in (
    select webhook_id from webhooks w
    where not disabled and due_at <= now() and (claimed_until is null or claimed_until < now())
        and exists (select from outbox o where o.webhook_id = w.webhook_id)
    order by due_at
    limit $2
    for update skip locked)
returning webhook_id, workspace_id, endpoint, with_content, sealed, failures, failing_since;

-- name: turn
-- A webhook as whoever claims it gets it.
select webhook_id, workspace_id, endpoint, with_content, sealed, failures, failing_since
from webhooks where webhook_id = $1;

-- name: waiting
-- What waits for a webhook after one thing, the oldest first, with whom and what it is about.
select o.outbox_id, o.event_id, o.object_type, o.metric, o.message_id, o.person_id, o.data, o.happened_at,
    m.kind, m.template_id, case when m.retained then m.content end as content,
    (select broadcast_id from broadcasts b where b.message_id = o.message_id) as broadcast_id,
    (select value from identifiers i where i.person_id = o.person_id and kind = 'id') as id,
    (select value from identifiers i where i.person_id = o.person_id and kind = 'email') as email
from outbox o left join messages m using (message_id)
where o.webhook_id = $1 and o.outbox_id > $3
order by o.outbox_id
limit $2;

-- name: posted
-- These were taken.
delete from outbox where outbox_id = any ($1::bigint[]);

-- name: taken
-- The endpoint takes what it is sent; it is free for the next turn.
update webhooks set claimed_until = null, failures = 0, failing_since = null, failure = null where webhook_id = $1;

-- name: failed
-- The endpoint did not take it: all wait for so long, or for ever.
update webhooks set claimed_until = null, failures = failures + 1, failing_since = coalesce(failing_since, now()),
    failure = $2, due_at = now() + make_interval(secs => $3), disabled = disabled or $4
where webhook_id = $1;
