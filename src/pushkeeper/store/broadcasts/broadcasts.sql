-- Broadcasts: messages to many, from a draft to the last of their devices; how they are planned is in plans.sql.

-- name: insert
-- A new broadcast of a message; no row comes back when another has its idempotency key.
insert into broadcasts (workspace_id, message_id, template_id, state, name, audience, unit, listed, device_ids, file_url,
    ignore_missing, schedule, passes, pass_at, per_s, skip_without_permission, one_per_phone, dry_run, once, asked)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
on conflict (workspace_id, once) where once is not null do nothing
returning broadcast_id;

-- name: change
-- Let a draft be so; its number and its idempotency key stay. What it said before is gone.
update broadcasts b set message_id = $3, template_id = $4, name = $5, audience = $6, unit = $7, listed = $8,
    device_ids = $9, schedule = $10, per_s = $11, skip_without_permission = $12, one_per_phone = $13, dry_run = $14,
    preflight = null
from broadcasts before
where b.workspace_id = $1 and b.broadcast_id = $2 and before.workspace_id = $1 and before.broadcast_id = $2
returning before.message_id;

-- name: forget
-- The message of a draft that says something else now.
delete from messages where workspace_id = $1 and message_id = $2;

-- name: once
-- The broadcast of an idempotency key, and what had been asked by it.
select broadcast_id, asked from broadcasts where workspace_id = $1 and once = $2;

-- name: list_people
-- People who are named for a message, with what is told to each alone; whoever is named twice is told the last.
insert into message_people (workspace_id, message_id, person_id, data)
select distinct on (p.person_id) $1::bigint, $2::uuid, p.person_id, nullif(p.data, 'null')
from unnest($3::bigint[], $4::jsonb[]) with ordinality as p (person_id, data, place)
order by p.person_id, p.place desc
on conflict (workspace_id, message_id, person_id) do update set data = excluded.data;

-- name: known
-- The people of these identifiers.
select i.kind, i.key, i.person_id
from identifiers i join unnest($2::text[], $3::text[]) as k (kind, key) using (kind, key)
where i.workspace_id = $1
union all
select 'cio_id', null, p.person_id
from people p
where p.workspace_id = $1 and p.person_id = any ($4::bigint[]);

-- name: known_devices
-- The devices of tokens, by the keys of those: of a token that several share, each person's own.
select k.key, d.device_id
from unnest($2::bytea[]) as k (key) join devices d on d.workspace_id = $1 and d.device_id = k.key
union all
select token_device($1, d.token), d.device_id
from devices d
where d.workspace_id = $1 and d.shared and token_device($1, d.token) = any ($2::bytea[]);

-- name: all
-- A page of a workspace's broadcasts before a number, the newest first; only one of them with $3.
select b.broadcast_id, b.message_id, b.template_id, b.state, b.name, b.audience, b.unit, b.listed, b.device_ids,
    b.schedule, b.passes, b.pass, b.pass_at, b.per_s, b.skip_without_permission, b.one_per_phone, b.dry_run, b.devices,
    b.last_device, b.failure, b.preflight, b.created_at, b.started_at, b.planned_at, b.paused_at, b.cancelled_at,
    b.once, m.content, m.wording, m.send_to_unsubscribed, m.expires_at, m.stop_reason, b.attempts, b.next_attempt_at,
    case when b.state in ('scheduled', 'fetching', 'planning') then b.last_error end as last_error,
    exists (select from batches q where q.workspace_id = b.workspace_id and q.message_id = b.message_id)
        or exists (select from held_verdicts h where h.workspace_id = b.workspace_id and h.message_id = b.message_id)
        as waiting
from broadcasts b join messages m using (workspace_id, message_id)
where b.workspace_id = $1 and b.broadcast_id < $2 and ($3::bigint is null or b.broadcast_id = $3)
order by b.broadcast_id desc
limit $4;

-- name: read
-- One broadcast of a template.
select broadcast_id, message_id, template_id, state, devices, failure, last_error, created_at, planned_at
from broadcasts where workspace_id = $1 and template_id = $2 and broadcast_id = $3;

-- name: of_template
-- A page of a template's broadcasts that were started, before a number, the newest first.
select broadcast_id, message_id, template_id, state, devices, failure, last_error, created_at, planned_at
from broadcasts
where workspace_id = $1 and template_id = $2 and broadcast_id < $3 and state <> 'draft'
order by broadcast_id desc
limit $4;

-- name: messages_of
-- The messages of a template's broadcasts that were started and made in this time.
select message_id from broadcasts
where workspace_id = $1 and template_id = $2 and created_at >= $3 and created_at < $4 and state <> 'draft';

-- name: under_plan
-- How many broadcasts of a template are not planned yet.
select count(*) from broadcasts
where workspace_id = $1 and template_id = $2 and state in ('scheduled', 'fetching', 'planning');

-- name: lock
-- A broadcast, which nobody else changes until we are done with it.
select workspace_id, broadcast_id, message_id, state, schedule, paused_at
from broadcasts where workspace_id = $1 and broadcast_id = $2 for update;

-- name: is_waiting
-- Whether not all of what was planned of a message is settled.
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
-- It goes on.
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
-- What was foreseen of it; not of what it said before it was changed, and not once it began.
update broadcasts set preflight = $4
where workspace_id = $1 and broadcast_id = $2 and message_id = $3 and started_at is null;
