-- Broadcasts: messages to many, from a draft to the last of their devices; how they are planned is in plans.sql.

-- name: insert
-- A new broadcast; no row comes back when another has its idempotency key.
insert into broadcasts (workspace_id, name, template_id, content, wording, send_to_unsubscribed, audience, unit, listed,
    device_ids, file_url, ignore_missing, schedule, per_s, skip_without_permission, one_per_phone, dry_run, state, passes,
    pass_at, once, asked)
values (:workspace_id, :name, :template_id, :content, :wording, :send_to_unsubscribed, :audience, :unit, :listed,
    :device_ids, :file_url, :ignore_missing, :schedule, :per_s, :skip_without_permission, :one_per_phone, :dry_run, :state,
    :passes, :pass_at, :once, :asked)
on conflict (workspace_id, once) where once is not null do nothing
returning broadcast_id;

-- name: change
-- A draft has another definition; its number and its idempotency key stay.
update broadcasts set name = :name, template_id = :template_id, content = :content, wording = :wording,
    send_to_unsubscribed = :send_to_unsubscribed, audience = :audience, unit = :unit, listed = :listed,
    device_ids = :device_ids, file_url = :file_url, ignore_missing = :ignore_missing, schedule = :schedule, per_s = :per_s,
    skip_without_permission = :skip_without_permission, one_per_phone = :one_per_phone, dry_run = :dry_run,
    version = version + 1, preflight = null
where workspace_id = :workspace_id and broadcast_id = :broadcast_id;

-- name: once
-- The broadcast of an idempotency key, and the hash of its request.
select broadcast_id, asked from broadcasts where workspace_id = $1 and once = $2;

-- name: broadcast
-- Broadcasts of a workspace.
select b.broadcast_id, b.workspace_id, b.version, b.message_id, b.state, b.name, b.template_id, b.content, b.wording,
    b.send_to_unsubscribed, b.audience, b.unit, b.listed, b.device_ids, b.file_url, b.ignore_missing, b.schedule, b.per_s,
    b.skip_without_permission, b.one_per_phone, b.dry_run, b.passes, b.pass, b.pass_at, b.saved, b.devices, b.last_device,
    b.last_person, greatest(b.next_slot_at, now()) as free_at, b.failure, b.preflight, b.created_at, b.started_at, b.planned_at, b.paused_at,
    b.cancelled_at, b.once, m.expires_at, m.stop_reason, b.attempts, b.next_attempt_at,
    case when b.state in ('scheduled', 'fetching', 'planning') then b.last_error end as last_error,
    exists (select from batches q where q.workspace_id = b.workspace_id and q.message_id = b.message_id)
        or exists (select from held_verdicts h where h.workspace_id = b.workspace_id and h.message_id = b.message_id)
        as waiting, e.state as estimate_state, e.asked_at as estimate_asked_at, coalesce(e.failure, e.last_error) as estimate_reason
from broadcasts b
    left join messages m using (workspace_id, message_id)
    left join broadcast_estimates e on e.workspace_id = b.workspace_id and e.broadcast_id = b.broadcast_id
where b.workspace_id = $1 and {which};

-- name: messages_of
-- The messages of a template's broadcasts that began and were created in this time.
select message_id from broadcasts
where workspace_id = $1 and template_id = $2 and created_at >= $3 and created_at < $4
    and message_id is not null;

-- name: under_plan
-- How many broadcasts of a template are not planned yet.
select count(*) from broadcasts
where workspace_id = $1 and template_id = $2 and state in ('scheduled', 'fetching', 'planning');

-- name: is_waiting
-- Whether some planned devices of a message are not processed.
select exists (select from batches where workspace_id = $1 and message_id = $2)
    or exists (select from held_verdicts where workspace_id = $1 and message_id = $2);

-- name: start
-- A draft has its moments now.
update broadcasts set state = 'scheduled', passes = $3, pass = 0, pass_at = $4
where workspace_id = $1 and broadcast_id = $2;

-- name: pause
-- Nothing more of it leaves.
update broadcasts set paused_at = now() where workspace_id = $1 and broadcast_id = $2;

-- name: resume
-- Resume it.
update broadcasts set paused_at = null where workspace_id = $1 and broadcast_id = $2;

-- name: cancel
-- It is over; what is planned of it is settled as that.
with over as (
    update broadcasts set state = 'cancelled', cancelled_at = now(), paused_at = null
    where workspace_id = $1 and broadcast_id = $2
    returning workspace_id, message_id
)
update messages m set stopped_at = coalesce(m.stopped_at, now()), stop_reason = coalesce(m.stop_reason, 'cancelled')
from over where m.workspace_id = over.workspace_id and m.message_id = over.message_id;

-- name: set_preflight
-- Save the estimate of a version; not one that was requested after it had begun.
update broadcasts set preflight = $4
where workspace_id = $1 and broadcast_id = $2 and version = $3 and (started_at is null or started_at >= $5);
