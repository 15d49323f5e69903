-- Registration of devices: the status table of core/delivery/device_status.py, for many devices at a time.

-- name: register
-- Register devices, each with a line of history. An existing one gets a new generation, without strikes, for the person who
-- registered it now, who does not see what was stored for its former owner. One that would have more than $20 attributes is
-- rejected and unchanged. Where tokens are shared, a person gets a device of their own beside those of others, unless they
-- have one already. A browser keeps the VAPID key that it subscribed with: the current one if the app does not say. Workers are
-- notified on channel $21 of each device that moved.
--
-- A person is given by their key, or by an identifier, in which case they are made if nobody has it. Not returned, and to be
-- tried again in the long way (`people/ingest.py`), are: a device or a person whom somebody is creating at this moment, a
-- blocked identifier, and the installation id of a device that is known by a registration token.
-- across workspaces: a group is of all who register, and each row is of the workspace that it names.
--
-- Of CTEs the planner expects a row or two, and joins them each with each. So each CTE has all columns that the next one
-- needs, and what was made is looked up by `in` within a larger expression, which is always a hash table.
with asked as (
    select * from unnest(
        $1::bytea[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::text[], $11::text[], $12::text[], $13::jsonb[], $14::jsonb[], $15::timestamptz[], $16::text[], $17::jsonb[],
        $18::bytea[], $19::text[])
        as a (key, workspace_id, given_person_id, identifier_kind, identifier_key, identifier, identifier_hash, token,
              id_kind, platform, app, environment, attributes, removed, last_used, request_id, dropped_attributes,
              browser_keys, vapid_key)
),
found as (
    select a.*, coalesce(a.given_person_id, i.person_id, nextval('people_person_id_seq')) as person_id,
        a.given_person_id is null and i.person_id is null as is_new
    from asked a left join identifiers i
        on i.workspace_id = a.workspace_id and i.kind = a.identifier_kind and i.key = a.identifier_key
),
named as (
    insert into identifiers (workspace_id, kind, key, value, person_id)
    select workspace_id, identifier_kind, identifier_key, identifier, person_id
    from found f
    where is_new and (exists (
        select from blocked b
        where b.workspace_id = f.workspace_id and b.kind = f.identifier_kind
            and b.key in (f.identifier_hash, f.identifier_key))) is false
    order by workspace_id, identifier_kind, identifier_key
    on conflict do nothing
    returning workspace_id, person_id
),
-- The foreign keys of identifiers and devices are looked at when the statement is over: then they are there.
born as (
    insert into people (person_id, workspace_id) select person_id, workspace_id from named
),
given as (
    select f.*, nextval('device_generations')::int as generation, case
        when (select w.token_ownership from workspaces w where w.workspace_id = f.workspace_id) = 'share'
            then own_device(f.workspace_id, f.key, f.person_id)
        else f.key end as device_id
    from found f
    where (not f.is_new or f.person_id in (select person_id from named))
        and (f.given_person_id is not null or f.id_kind <> 'fid' or not exists (
            select from devices d
            where d.workspace_id = f.workspace_id and d.person_id = f.person_id
                and d.id_kind = 'token' and starts_with(d.token, f.token || ':')))
),
-- A device that a person registers is no longer kept for the owner of an anonymous ID.
forgotten as (
    delete from anonymous_devices d using given g where d.workspace_id = g.workspace_id and d.device_id = g.key
),
locked as (
    select g.*, d.person_id as old_person_id, d.status as old_status, case when d.person_id = g.person_id
        then (d.attributes || g.attributes) - array(select jsonb_object_keys(g.removed)) else g.attributes end as merged
    from devices d join given g using (workspace_id, device_id)
    order by d.device_id
    for update of d
),
before as (
    select l.*, (select count(*) from jsonb_object_keys(merged)) <= $20 as fits from locked l
),
changed as (
    update devices d set
        person_id = b.person_id,
        platform = b.platform,
        app = coalesce(b.app, d.app),
        environment = coalesce(b.environment, d.environment),
        attributes = b.merged,
        dropped_attributes = b.dropped_attributes,
        status = case when d.status = 'sent' then 'sent' else '' end,
        strikes = 0,
        struck_at = null,
        failure_reason = case when d.person_id = b.person_id then d.failure_reason end,
        generation = b.generation,
        stale_generation = null,
        registered_at = now(),
        last_used = case when d.person_id = b.person_id then greatest(d.last_used, b.last_used) else b.last_used end,
        browser_keys = coalesce(b.browser_keys, d.browser_keys),
        vapid_key = case when b.browser_keys is null then d.vapid_key
            else coalesce(b.vapid_key, d.vapid_key, current_vapid_key(d.workspace_id, coalesce(b.app, d.app))) end
    from before b
    where d.workspace_id = b.workspace_id and d.device_id = b.device_id and b.fits
    returning d.device_id, d.workspace_id, d.person_id, d.status, d.generation, b.request_id, b.old_person_id, b.old_status
),
made as (
    insert into devices (device_id, workspace_id, person_id, token, id_kind, platform, app, environment, attributes,
        dropped_attributes, generation, last_used, shared, browser_keys, vapid_key)
    select device_id, workspace_id, person_id, token, id_kind, platform, coalesce(app, ''), coalesce(environment, ''),
        attributes, dropped_attributes, generation, last_used, device_id <> key, browser_keys,
        case when browser_keys is not null then coalesce(vapid_key, current_vapid_key(workspace_id, coalesce(app, ''))) end
    from given
    where device_id not in (select device_id from before)
    order by device_id
    on conflict (workspace_id, device_id) do nothing
    returning device_id
),
told as (
    insert into device_history (workspace_id, device_id, event, from_status, to_status, strikes, from_person_id,
        to_person_id, generation, request_id)
    select workspace_id, device_id, case when person_id = old_person_id then 'refreshed' else 'moved' end,
        old_status, status, 0, old_person_id, person_id, generation, request_id
    from changed
    where person_id <> old_person_id or status <> old_status
    union all
    select workspace_id, device_id, 'registered', null, '', 0, null, person_id, generation, request_id
    from given
    where (device_id in (select device_id from made)) is true
)
select key, person_id, false as refused, null::boolean as moved
from given
where (device_id in (select device_id from made)) is true
union all
select key, person_id, not fits,
    case when fits and person_id <> old_person_id then pg_notify($21, encode(device_id, 'hex')) is not null end
from before;

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
