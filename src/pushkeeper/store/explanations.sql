-- Explanations: everything stored about a person's devices and one message.

-- name: devices
-- The devices of a person, or those of these keys.
select d.device_id, d.person_id, d.token, d.platform, d.app, d.environment, d.status, d.strikes, d.failure_reason,
    d.registered_at, d.created_at, d.last_used, d.attributes,
    push_is_disabled(d.attributes) as no_permission,
    exists (select from later_tokens(d.workspace_id, d.person_id, d.platform, phone_of(d.attributes), d.last_used, d.device_id))
        as same_phone,
    d.platform = 'web' and d.browser_keys is null as no_keys
from devices d
where d.workspace_id = $1 and (d.person_id = $2 or d.device_id = any ($3::bytea[]))
order by d.last_used desc, d.device_id
limit $4;

-- name: history
-- The last lines of these devices' history, the newest first.
select h.*
from unnest($2::bytea[]) as k (device_id)
cross join lateral (
    select device_id, at, event, from_status, to_status, from_person_id as from_person, to_person_id as to_person,
        message_id::text as message, provider, provider_status, provider_reason, undone_by is not null as undone
    from device_history
    where workspace_id = $1 and device_id = k.device_id
    order by at desc, history_id desc
    limit $3
) h;

-- name: once_theirs
-- Devices that a person had and has no more, the last that they lost first.
select device_id
from device_history
where workspace_id = $1 and from_person_id = $2 and from_person_id is distinct from to_person_id
group by device_id
order by max(at) desc
limit $3;

-- name: message
-- What of a message decides.
select m.message_id, m.kind, m.created_at, m.expires_at, m.content, m.send_to_unsubscribed, m.platforms, m.stop_reason,
    m.person_id, b.broadcast_id, b.state, b.audience, b.unit, b.listed, b.device_ids, b.saved, b.pass_at, b.started_at,
    b.planned_at, b.paused_at, b.cancelled_at, b.skip_without_permission, b.one_per_phone,
    b.schedule
from messages m left join broadcasts b using (workspace_id, message_id)
where m.workspace_id = $1 and m.message_id = $2;

-- name: of_broadcast
-- What of a broadcast decides; it has no message before it begins, and that lives from then on.
select b.message_id, 'broadcast' as kind, coalesce(m.created_at, b.created_at) as created_at,
    coalesce(m.expires_at, greatest(b.pass_at, now()) + interval '1 day') as expires_at, b.content, b.send_to_unsubscribed,
    m.platforms, m.stop_reason, m.person_id, b.broadcast_id, b.state, b.audience, b.unit, b.listed, b.device_ids, b.saved,
    b.pass_at, b.started_at, b.planned_at, b.paused_at, b.cancelled_at, b.skip_without_permission, b.one_per_phone,
    b.schedule
from broadcasts b left join messages m using (workspace_id, message_id)
where b.workspace_id = $1 and b.broadcast_id = $2;

-- name: pushes
-- Outcomes of a message at these devices, or at any of a person's.
select device_id, ending, push_reason(ending, provider, reason) as reason, provider, provider_status, provider_reason,
    provider_id, detail, attempts, settled_at
from pushes
where workspace_id = $1 and message_day = $2 and message_id = $3 and (device_id = any ($4::bytea[]) or person_id = $5);

-- name: waiting
-- What of a message is still in the queue for these devices, or for a person whose devices are not picked yet.
select k.device_id, b.due_at, b.parked, b.lease_until > now() as claimed, b.attempt
from batches b
cross join lateral (
    select unnest(b.device_ids) as device_id where b.device_ids && $3::bytea[]
    union all
    select unnest($3::bytea[]) where b.person_id = $4
) k
where b.workspace_id = $1 and b.message_id = $2 and k.device_id = any ($3::bytea[]);

-- name: held
-- Refusals of a message at these devices that are not believed yet.
select device_id, concat_ws(' ', why, provider, provider_status, provider_reason) as held
from held_verdicts where workspace_id = $1 and message_id = $2 and device_id = any ($3::bytea[]);

-- name: reports
-- When the app first reported each metric of a message, at these devices or without naming one.
select device_id, metric, min(reported_at) as at
from reports
where workspace_id = $1 and message_id = $2 and person_id = $3
group by 1, 2;

-- name: person
-- A person's attributes and identifiers, and preferences.
select p.person_id, p.attributes, p.unsubscribed, push_is_off(p.attributes) as channel_off, p.created_at,
    coalesce((select jsonb_object_agg(i.kind, i.value) from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id), '{}') as known_by,
    array(select m.segment_id from segment_members m
        where m.workspace_id = p.workspace_id and m.person_id = p.person_id) as segments
from people p
where p.workspace_id = $1 and p.person_id = $2;

-- name: events
-- When a person did these things, the last first.
select name, happened_at from events
where workspace_id = $1 and person_id = $2 and name = any ($3::text[])
order by happened_at desc
limit $4;
