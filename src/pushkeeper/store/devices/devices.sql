-- Devices: settling is the status table of core/delivery/device_status.py, for many devices at a time.

-- name: settle
-- What pushes came to, for the generation that each was sent to, by the rules that the workspace chose; rows that would
-- not change are not written.
with given as (
    select workspace_id, device_id, generation, event, definite and event = 'refused' as definite, message_id, provider,
        provider_status, provider_reason, route_id
    from unnest(
        $1::bigint[], $2::bytea[], $3::int[], $4::text[], $5::boolean[], $6::uuid[], $7::text[], $8::smallint[],
        $9::text[], $10::bigint[])
        as g (workspace_id, device_id, generation, event, definite, message_id, provider, provider_status, provider_reason, route_id)
),
before as (
    select d.device_id, d.workspace_id, d.person_id, d.status, d.strikes, d.stale_generation, d.struck_at
    from devices d join given g using (workspace_id, device_id, generation)
    where g.event <> 'accepted' or d.status <> 'sent' or d.stale_generation is not null
    order by d.device_id
    for update of d
),
ruled as (
    select b.*, g.generation, g.message_id, g.provider, g.provider_status, g.provider_reason, g.route_id, g.event,
        case
            when g.event = 'accepted' then 'accept'
            when g.event = 'refused_as_stale' and b.stale_generation is distinct from g.generation then 'note'
            when g.definite and w.delete_unregistered then 'remove'
            -- Without a gap nothing is compared: a rival's strike may bear a time after the beginning of ours.
            when w.min_strike_gap_s > 0 and b.strikes > 0
                and b.struck_at > now() - make_interval(secs => w.min_strike_gap_s) then 'ignore'
            when b.status = 'suppressed' and b.strikes >= w.suppress_after then 'ignore'
            else 'strike'
        end as rule,
        greatest(b.strikes, least(b.strikes + 1, w.suppress_after)) as strikes_after,
        b.status = 'suppressed' or b.strikes + 1 >= w.suppress_after
            or (g.definite and w.suppress_on_definitive) as over
    from before b join given g using (workspace_id, device_id) join workspaces w using (workspace_id)
),
changed as (
    update devices d set
        status = case r.rule
            when 'accept' then 'sent'
            when 'strike' then case when r.over then 'suppressed' else 'bounced' end
            else d.status end,
        strikes = case r.rule when 'accept' then 0 when 'strike' then r.strikes_after else d.strikes end,
        struck_at = case r.rule when 'accept' then null when 'strike' then now() else d.struck_at end,
        failure_reason = case r.rule when 'strike' then r.provider_reason else d.failure_reason end,
        stale_generation = case r.rule
            when 'accept' then null
            when 'note' then d.generation
            else d.stale_generation end
    from ruled r
    where d.workspace_id = r.workspace_id and d.device_id = r.device_id and d.generation = r.generation
        and r.rule in ('accept', 'note', 'strike')
    returning d.device_id, d.workspace_id, d.person_id, d.status, d.strikes, d.generation, r.status as old_status,
        r.strikes as old_strikes, r.event, r.message_id, r.provider, r.provider_status, r.provider_reason, r.route_id
),
removed as (
    delete from devices d using ruled r
    where d.workspace_id = r.workspace_id and d.device_id = r.device_id and d.generation = r.generation
        and r.rule = 'remove'
    returning d.device_id, d.workspace_id, d.person_id, d.generation, r.status as old_status, r.message_id, r.provider,
        r.provider_status, r.provider_reason, r.route_id
)
insert into device_history (workspace_id, device_id, event, from_status, to_status, strikes, from_person_id, to_person_id,
    generation, message_id, provider, provider_status, provider_reason, route_id)
select workspace_id, device_id, event, old_status, status, strikes, person_id, person_id, generation, message_id, provider,
    provider_status, provider_reason, route_id
from changed
where status <> old_status or strikes <> old_strikes or event = 'refused_as_stale'
union all
select workspace_id, device_id, 'deleted', old_status, null, null, person_id, null, generation, message_id, provider,
    provider_status, provider_reason, route_id
from removed;

-- name: delete
-- Devices of a person that are gone, each with its last line of history.
with gone as (
    delete from devices
    where workspace_id = $1 and person_id = $2
        and ($3::bytea is null or device_id in ($3, shared_device($3, $2)))
    returning device_id, workspace_id, person_id, status, generation
)
insert into device_history (workspace_id, device_id, event, from_status, from_person_id, generation, request_id)
select workspace_id, device_id, 'deleted', status, person_id, generation, $4
from gone
returning device_id;

-- name: holders
-- The people who have a device with a token: one, or several who share it.
select person_id from devices
where workspace_id = $1 and (device_id = $2 or shared and md5(token) = $3 and device_id = shared_device($2, person_id))
order by person_id;

-- name: move
-- Move a person's devices to another, unchanged; queued pushes of the former are dropped. Of a shared token that both
-- have, the other's own device stays; a shared device's key changes with its person, and its history goes along.
with theirs as (
    select d.device_id, case when d.shared then shared_device(token_device($1, d.token), $3) else d.device_id end as key,
        d.shared and exists (
            select from devices o where o.workspace_id = $1 and o.person_id = $3 and o.token = d.token) as doubled
    from devices d
    where d.workspace_id = $1 and d.person_id = $2
    order by d.device_id
    for update
),
dropped as (
    delete from devices d using theirs t
    where d.workspace_id = $1 and d.device_id = t.device_id and t.doubled
    returning d.device_id, d.workspace_id, d.status, d.generation
),
rekeyed as (
    update device_history h set device_id = t.key
    from theirs t
    where h.workspace_id = $1 and h.device_id = t.device_id and t.key <> t.device_id and not t.doubled
),
moved as (
    update devices d set
        device_id = t.key,
        person_id = $3,
        generation = nextval('device_generations'),
        stale_generation = null
    from theirs t
    where d.workspace_id = $1 and d.device_id = t.device_id and not t.doubled
    returning d.device_id, d.workspace_id, d.status, d.strikes, d.generation
)
insert into device_history (workspace_id, device_id, event, from_status, to_status, strikes, from_person_id, to_person_id,
    generation, request_id)
select workspace_id, device_id, 'moved', status, status, strikes, $2, $3, generation, $4
from moved
union all
select workspace_id, device_id, 'deleted', status, null, null, $2, null, generation, $4
from dropped;

-- name: of_people
-- The devices of people, the last used first.
select device_id, workspace_id, person_id, token, id_kind, platform, app, environment, attributes, status, strikes,
    generation, created_at, registered_at, last_used, dropped_attributes
from devices
where workspace_id = $1 and person_id = any ($2::bigint[])
order by last_used desc, device_id;

-- name: read
-- The device of a token, of this person if one is named; of several who share it, the last used.
select device_id, workspace_id, person_id, token, id_kind, platform, app, environment, attributes, status, strikes,
    generation, created_at, registered_at, last_used, dropped_attributes
from devices
where workspace_id = $1 and (device_id = $2 or shared and md5(token) = $3 and device_id = shared_device($2, person_id))
    and ($4::bigint is null or person_id = $4)
order by last_used desc, device_id
limit 1;

-- name: search
-- A page of devices by key; null is no condition.
select device_id, workspace_id, person_id, token, id_kind, platform, app, environment, attributes, status, strikes,
    generation, created_at, registered_at, last_used, dropped_attributes
from devices
where workspace_id = $1 and device_id > $2
    and ($3::text is null or status = $3)
    and ($4::text is null or platform = $4)
    and ($5::text is null or app = $5)
    and ($6::timestamptz is null or last_used >= $6)
    and ($7::timestamptz is null or last_used < $7)
    and ($8::text is null or attributes -> $8 = any ($9::jsonb[]))
order by device_id
limit $10;

-- name: pushes
-- Outcomes of pushes to a device since its person has it, newest message first.
select message_id, ending, push_reason(ending, provider, reason) as reason, provider, provider_status, provider_reason,
    attempts, settled_at
from pushes
where workspace_id = $1 and person_id = $2 and device_id = $3
order by message_id desc
limit $4;

-- name: history
-- What happened to the device of a token, the newest first; of several who share it, to that of this person.
select at, event, from_status, to_status, from_person_id, to_person_id, generation, message_id, provider,
    provider_status, provider_reason, request_id, strikes, undone_by is not null as undone
from device_history
where workspace_id = $1 and device_id in ($2, shared_device($2, $4))
order by at desc, history_id desc
limit $3;

-- name: held
-- The devices that these people have by these keys of tokens.
select k.key, d.person_id, d.device_id
from unnest($1::bigint[], $2::bytea[], $3::bigint[]) as k (workspace_id, key, person_id)
    join devices d on d.workspace_id = k.workspace_id and d.person_id = k.person_id
        and d.device_id in (k.key, shared_device(k.key, k.person_id))
for share of d;
