-- Devices: registration and settling are the status table of core/delivery/device_status.py, for many devices at a time.

-- name: register
-- Devices as their people tell of them, each with its line of history. One that is there gets a new generation, without
-- strikes, for the person who registered it now, who does not get to see what was kept of it for another. One that would
-- have more than $14 attributes is refused and unchanged; one that is being created concurrently is not returned.
-- Where tokens are shared, a person gets a device of their own beside those of others, save where they have one already.
with given as (
    select g.*, case when w.token_ownership = 'share' then own_device(g.workspace_id, g.key, g.person_id) else g.key end as device_id
    from unnest(
        $1::bytea[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::jsonb[], $10::jsonb[], $11::timestamptz[], $12::text[], $13::jsonb[])
        as g (key, workspace_id, person_id, token, id_kind, platform, app, environment,
              attributes, removed, last_used, request_id, dropped_attributes)
    join workspaces w using (workspace_id)
),
before as (
    select d.device_id, d.person_id, d.status, case when d.person_id = g.person_id
        then (d.attributes || g.attributes) - array(select jsonb_object_keys(g.removed)) else g.attributes end as merged
    from devices d join given g using (workspace_id, device_id)
    order by d.device_id
    for update of d
),
changed as (
    update devices d set
        person_id = g.person_id,
        platform = g.platform,
        app = coalesce(g.app, d.app),
        environment = coalesce(g.environment, d.environment),
        attributes = b.merged,
        dropped_attributes = g.dropped_attributes,
        status = case when d.status = 'sent' then 'sent' else '' end,
        strikes = 0,
        struck_at = null,
        failure_reason = case when d.person_id = g.person_id then d.failure_reason end,
        generation = nextval('device_generations'),
        stale_generation = null,
        registered_at = now(),
        last_used = case when d.person_id = g.person_id then greatest(d.last_used, g.last_used) else g.last_used end
    from given g join before b using (device_id)
    where d.workspace_id = g.workspace_id and d.device_id = g.device_id and (select count(*) from jsonb_object_keys(b.merged)) <= $14
    returning d.device_id, d.workspace_id, d.person_id, d.status, d.generation, g.request_id,
        b.person_id as old_person_id, b.status as old_status
),
made as (
    insert into devices (device_id, workspace_id, person_id, token, id_kind, platform, app, environment, attributes,
        dropped_attributes, last_used, shared)
    select device_id, workspace_id, person_id, token, id_kind, platform, coalesce(app, ''), coalesce(environment, ''),
        attributes, dropped_attributes, last_used, device_id <> key
    from given g
    where not exists (select from before b where b.device_id = g.device_id)
    order by device_id
    on conflict (workspace_id, device_id) do nothing
    returning device_id, workspace_id, person_id, status, generation
),
told as (
    insert into device_history (workspace_id, device_id, event, from_status, to_status, strikes, from_person_id,
        to_person_id, generation, request_id)
    select workspace_id, device_id, case when person_id = old_person_id then 'refreshed' else 'moved' end,
        old_status, status, 0, old_person_id, person_id, generation, request_id
    from changed
    where person_id <> old_person_id or status <> old_status
    union all
    select m.workspace_id, m.device_id, 'registered', null, m.status, 0, null, m.person_id, m.generation, g.request_id
    from made m join given g using (device_id)
)
select g.key, false as refused, null::bytea as moved from made join given g using (device_id)
union all
select g.key, c.device_id is null, case when c.person_id <> c.old_person_id then c.device_id end
from before join given g using (device_id) left join changed c using (device_id);

-- name: become_fid
-- A person's device that was known by a registration token is known by the installation id that the token begins with:
-- the same device, with its status and all that happened to it.
with given as (
    select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[])
        as g (workspace_id, person_id, fid, key)
),
former as (
    select distinct on (g.device_id) d.workspace_id, d.device_id as former_id, g.device_id, n.fid, d.person_id
    from given n join devices d using (workspace_id, person_id)
        cross join lateral (
            select case when d.shared then shared_device(n.key, n.person_id) else n.key end as device_id
        ) g
    where d.id_kind = 'token' and starts_with(d.token, n.fid || ':')
        and not exists (select from devices o where o.workspace_id = d.workspace_id and o.device_id = g.device_id)
    order by g.device_id, d.last_used desc
),
told as (
    update device_history h set device_id = f.device_id
    from former f where h.workspace_id = f.workspace_id and h.device_id = f.former_id
),
sent as (
    update pushes p set device_id = f.device_id
    from former f
    where p.workspace_id = f.workspace_id and p.person_id = f.person_id and p.device_id = f.former_id
)
update devices d set device_id = f.device_id, token = f.fid, id_kind = 'fid'
from former f
where d.workspace_id = f.workspace_id and d.device_id = f.former_id;

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
-- A person's devices are another's, as they are; what was on its way to the former is theirs no more. Of a shared token
-- that both have, the other's own device stays; a shared device's key changes with its person, and its history goes along.
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
-- A page of the devices that are so, by their keys; what is null is not asked for.
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
-- What came of the pushes to a device since its person has it, the newest message first.
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

-- name: counts
-- Devices by platform and last status.
select platform, status, count(*) as devices
from devices
where workspace_id = $1
group by platform, status
order by platform, status;

-- name: held
-- The devices that these people have by these keys of tokens.
select k.key, d.person_id, d.device_id
from unnest($1::bigint[], $2::bytea[], $3::bigint[]) as k (workspace_id, key, person_id)
    join devices d on d.workspace_id = k.workspace_id and d.person_id = k.person_id
        and d.device_id in (k.key, shared_device(k.key, k.person_id))
for share of d;
