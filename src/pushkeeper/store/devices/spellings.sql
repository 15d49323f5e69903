-- Spellings: devices that are one phone, registered by several spellings of its token, become one.

-- name: page
-- Phones with a device in another spelling than the canonical one, by the keys that they should have.
-- across workspaces: maintenance of the installation.
select distinct p.workspace_id, p.key
from (
    select workspace_id, token_device(workspace_id, canonical_token(token)) as key
    from devices
    where token <> canonical_token(token)
    order by 1, 2
    limit $1
) p
order by 1, 2;

-- name: lock
-- Lock the devices of these phones, of any owner.
with phones as (
    select * from unnest($1::bigint[], $2::bytea[]) as p (workspace_id, key)
),
spelled as (
    select d.workspace_id, d.device_id, p.key, canonical_token(d.token) as canonical
    from phones p join devices d on d.workspace_id = p.workspace_id and d.token <> canonical_token(d.token)
        and token_device(d.workspace_id, canonical_token(d.token)) = p.key
),
phone as (
    select workspace_id, device_id, key from spelled
    union
    select d.workspace_id, d.device_id, p.key
    from phones p join devices d on d.workspace_id = p.workspace_id and d.device_id = p.key
    union
    select d.workspace_id, d.device_id, s.key
    from spelled s join devices d on d.workspace_id = s.workspace_id and d.shared and md5(d.token) = md5(s.canonical)
        and d.token = s.canonical
)
select d.workspace_id, d.device_id, d.person_id, canonical_token(d.token) as token, p.key,
    shared_device(p.key, d.person_id) as shared_key, d.shared, d.created_at, d.registered_at, d.last_used,
    w.token_ownership = 'share' as shares
from phone p
    join devices d on d.workspace_id = p.workspace_id and d.device_id = p.device_id
    join workspaces w on w.workspace_id = d.workspace_id
order by d.workspace_id, d.device_id
for update of d;

-- name: take_keys
-- The history of the kept device comes to its new key. What is there goes to the former one, where it is of a device that
-- goes too ($4), or would stand among the kept one's lines: each stays the history of one device after the other.
with given as (
    select k.*, k.taken or (
        select max(h.at) from device_history h where h.workspace_id = k.workspace_id and h.device_id = k.key
    ) >= (
        select min(h.at) from device_history h where h.workspace_id = k.workspace_id and h.device_id = k.former
    ) as aside
    from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::boolean[]) as k (workspace_id, key, former, taken)
)
update device_history h set device_id = case when h.device_id = g.former then g.key else g.former end
from given g
where h.workspace_id = g.workspace_id and (h.device_id = g.former or g.aside and h.device_id = g.key);

-- name: drop
-- Delete devices, each with a last line of history under the key that its history has now.
with gone as (
    delete from devices d
    using unnest($1::bigint[], $2::bytea[], $3::bytea[]) as g (workspace_id, device_id, told_by)
    where d.workspace_id = g.workspace_id and d.device_id = g.device_id
    returning d.workspace_id, g.told_by, d.person_id, d.status, d.generation
)
insert into device_history (workspace_id, device_id, event, from_status, from_person_id, generation)
select workspace_id, told_by, 'deleted', status, person_id, generation from gone;

-- name: respell
-- Set the canonical tokens of devices, and the keys that follow from them.
update devices d set device_id = k.key, token = k.token, shared = k.shared, created_at = k.created_at, last_used = k.last_used
from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::text[], $5::boolean[], $6::timestamptz[], $7::timestamptz[])
    as k (workspace_id, former, key, token, shared, created_at, last_used)
where d.workspace_id = k.workspace_id and d.device_id = k.former;

-- name: tell
-- A line of history for each device that was merged into a kept one, with its former owner.
insert into device_history (workspace_id, device_id, event, from_status, to_status, strikes, from_person_id, to_person_id,
    generation)
select d.workspace_id, d.device_id, 'merged', d.status, d.status, d.strikes, g.person_id, d.person_id, d.generation
from unnest($1::bigint[], $2::bytea[], $3::bigint[]) as g (workspace_id, key, person_id)
    join devices d on d.workspace_id = g.workspace_id and d.device_id = g.key;

-- name: forget_anonymous
-- Delete what is stored for these phones from before their registration, in any spelling.
delete from anonymous_devices a
using unnest($1::bigint[], $2::bytea[], $3::timestamptz[]) as k (workspace_id, key, registered_at)
where a.workspace_id = k.workspace_id and a.device_id = k.key and a.told_at <= k.registered_at;

-- name: pushes
-- Move pushes from former keys to the phone's key; one whose message already has a push there stays.
with former as (
    select distinct on (p.workspace_id, p.message_id, k.key) p.workspace_id, p.message_day, p.message_id, p.device_id, k.key
    from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[]) as k (workspace_id, former, key, person_id)
        join pushes p on p.workspace_id = k.workspace_id and p.person_id = k.person_id and p.device_id = k.former
    where not exists (
        select from pushes o
        where o.workspace_id = p.workspace_id and o.message_id = p.message_id and o.device_id = k.key)
    order by p.workspace_id, p.message_id, k.key, p.settled_at desc
)
update pushes p set device_id = f.key
from former f
where p.workspace_id = f.workspace_id and p.message_day = f.message_day and p.message_id = f.message_id
    and p.device_id = f.device_id;

-- name: reports
-- Move reports from former keys to the phone's key, likewise.
with former as (
    select distinct on (r.workspace_id, r.message_id, r.person_id, r.metric, k.key)
        r.workspace_id, r.message_id, r.person_id, r.device_id, r.metric, k.key
    from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[]) as k (workspace_id, former, key, person_id)
        join reports r on r.workspace_id = k.workspace_id and r.person_id = k.person_id and r.device_id = k.former
    where not exists (
        select from reports o
        where o.workspace_id = r.workspace_id and o.message_id = r.message_id and o.person_id = r.person_id
            and o.device_id = k.key and o.metric = r.metric)
    order by r.workspace_id, r.message_id, r.person_id, r.metric, k.key, r.reported_at
)
update reports r set device_id = f.key
from former f
where r.workspace_id = f.workspace_id and r.message_id = f.message_id and r.person_id = f.person_id
    and r.device_id = f.device_id and r.metric = f.metric;

-- name: held_verdicts
-- Move held verdicts to the kept devices.
update held_verdicts h set device_id = k.key
from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[]) as k (workspace_id, former, key, person_id)
where h.workspace_id = k.workspace_id and h.device_id = k.former and h.person_id = k.person_id and not exists (
    select from held_verdicts o
    where o.workspace_id = h.workspace_id and o.message_id = h.message_id and o.device_id = k.key);

-- name: batches
-- Move what is queued for the person who keeps the phone to its key, once per message; what is queued for others finds
-- no device.
with queued as (
    select b.workspace_id, b.batch_id, q.place, k.key,
        row_number() over (partition by b.workspace_id, b.message_id, k.key order by b.batch_id, q.place) as turn
    from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[]) as k (workspace_id, former, key, person_id)
        join batches b on b.workspace_id = k.workspace_id and b.device_ids && $2::bytea[]
        cross join lateral unnest(b.device_ids, b.person_ids) with ordinality as q (device_id, person_id, place)
    where q.device_id = k.former and q.person_id = k.person_id and not exists (
        select from batches o
        where o.workspace_id = b.workspace_id and o.message_id = b.message_id and k.key = any (o.device_ids))
)
update batches b set device_ids = array(
    select coalesce(q.key, u.device_id)
    from unnest(b.device_ids) with ordinality as u (device_id, place)
        left join queued q on q.workspace_id = b.workspace_id and q.batch_id = b.batch_id and q.place = u.place and q.turn = 1
    order by u.place)
where (b.workspace_id, b.batch_id) in (select workspace_id, batch_id from queued where turn = 1);

-- name: broadcasts
-- Replace former keys in broadcasts that name devices.
update broadcasts b set device_ids = array(
    select coalesce(k.key, u.device_id)
    from unnest(b.device_ids) with ordinality as u (device_id, place)
        left join unnest($1::bigint[], $2::bytea[], $3::bytea[]) as k (workspace_id, former, key)
            on k.workspace_id = b.workspace_id and k.former = u.device_id
    group by 1
    order by min(u.place))
where b.workspace_id = any ($1) and b.device_ids && $2::bytea[];
