-- Bounces: statuses of devices compared with their history, and reverts of bounces.

-- name: broken
-- Devices of a range of keys whose history does not match their status, or has a line that does not follow from the one
-- before: up to $4 of them, and how many were looked at.
with lines as (
    select device_id, event, from_status, to_status, strikes,
        lag(to_status) over (partition by device_id order by at, history_id) as before,
        lag(event) over (partition by device_id order by at, history_id) as event_before,
        row_number() over (partition by device_id order by at desc, history_id desc) as back
    from device_history
    where workspace_id = $1 and device_id >= $2 and ($3::bytea is null or device_id < $3)
),
last as (
    select device_id, event, to_status, strikes from lines where back = 1
),
there as (
    select device_id, status, strikes from devices
    where workspace_id = $1 and device_id >= $2 and ($3::bytea is null or device_id < $3)
),
wrong as (
    select coalesce(t.device_id, l.device_id) as device_id, t.status, l.to_status,
        case
            when t.device_id is null and l.event <> 'deleted' then 'it is gone, and its history does not say so'
            when t.device_id is not null and l.event = 'deleted' then 'it is there, and its history says that it is gone'
            when t.status <> l.to_status then 'its history comes to another status'
            when t.strikes <> l.strikes then 'its history comes to other strikes'
        end as what
    from there t full join last l using (device_id)
    where l.device_id is not null
    union all
    select device_id, null, to_status, 'a line of its history does not follow from the one before'
    from lines
    where event_before is not null and event not in ('registered', 'imported') and from_status is distinct from before
)
select (select count(*) from there) as devices,
    (select count(*) from there t where not exists (select from last l where l.device_id = t.device_id)) as unchecked,
    (select count(*) from wrong where what is not null) as wrong,
    coalesce((
        select jsonb_agg(jsonb_build_object('device', encode(w.device_id, 'hex'), 'status', w.status,
            'history', w.to_status, 'what', w.what))
        from (select * from wrong where what is not null order by device_id limit $4) w), '[]') as examples;

-- name: struck
-- The next page of devices after a key with a selected bounce.
select distinct h.device_id
from device_history h
where h.workspace_id = $1 and h.device_id > $2 and {meant}
order by h.device_id
limit $3;

-- name: strikes
-- How many bounces are selected.
select count(*) as strikes, count(distinct h.device_id) as devices
from device_history h
where h.workspace_id = $1 and {meant};

-- name: lines
-- The history of devices, oldest first, and which bounces are selected.
select h.device_id, h.history_id as number, h.at, h.event, h.from_status, h.to_status, h.strikes, h.generation,
    h.provider_reason as reason, h.undone_by is not null as undone, {meant} as meant
from device_history h
where h.workspace_id = $1 and h.device_id = any ($2::bytea[])
order by h.device_id, h.at, h.history_id;

-- name: lock
-- The state of devices, locked until the transaction ends.
select device_id, person_id, token, platform, status, strikes, generation
from devices
where workspace_id = $1 and device_id = any ($2::bytea[])
order by device_id
for update;

-- name: mark
-- These strikes count no more.
update device_history set undone_by = $2
where workspace_id = $1 and device_id = any ($3::bytea[]) and history_id = any ($4::bigint[]) and undone_by is null;

-- name: restore
-- Write the states of devices without these bounces, each with its line of history.
with given as (
    select * from unnest($3::bytea[], $4::text[], $5::smallint[], $6::timestamptz[], $7::text[])
        as g (device_id, status, strikes, struck_at, reason)
),
before as (
    select d.device_id, d.status from devices d join given g using (device_id) where d.workspace_id = $1
),
changed as (
    update devices d set status = g.status, strikes = g.strikes, struck_at = g.struck_at, failure_reason = g.reason
    from given g
    where d.workspace_id = $1 and d.device_id = g.device_id
    returning d.device_id, d.workspace_id, d.person_id, d.status, d.strikes, d.generation
)
insert into device_history (workspace_id, device_id, event, from_status, to_status, strikes, from_person_id, to_person_id,
    generation, request_id)
select c.workspace_id, c.device_id, 'undone', b.status, c.status, c.strikes, c.person_id, c.person_id, c.generation, $2
from changed c join before b using (device_id);

-- name: insert
-- Create a revert.
insert into undos (workspace_id, selection, why, meant_devices, advanced_at) values ($1, $2, $3, $4, now()) returning undo_id;

-- name: count
-- Add to the reverted bounces and devices.
update undos set strikes = strikes + $3, devices = devices + $4, advanced_at = now()
where workspace_id = $1 and undo_id = $2;

-- name: finish
-- Finish the revert.
update undos set finished_at = coalesce(finished_at, now()) where workspace_id = $1 and undo_id = $2;

-- name: all
-- Past reverts, newest first; one of them ($2), or all. A running revert updates its heartbeat with each page.
select undo_id, selection, why, strikes, devices, meant_devices, created_at, finished_at,
    finished_at is null and advanced_at > now() - interval '15 seconds' is true as under_way
from undos
where workspace_id = $1 and ($2::bigint is null or undo_id = $2)
order by undo_id desc
limit $3;
