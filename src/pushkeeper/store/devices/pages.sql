-- Devices as one pages through them, those of the newest people first; and all that happened to one of them.

-- name: bound
-- The device at an offset after another one: the end of one slice.
select person_id, device_id from devices
where workspace_id = $1 and (person_id, device_id) < ($2, $3)
order by person_id desc, device_id desc
offset $4::int - 1 limit 1;

-- name: page
-- Devices after one of them and up to another of which a condition (store/audiences/filter_sql.py) is true, with what their people
-- are known by.
select d.device_id, d.workspace_id, d.person_id, d.token, d.id_kind, d.platform, d.app, d.environment, d.attributes,
    d.status, d.strikes, d.generation, d.created_at, d.registered_at, d.last_used, d.dropped_attributes, d.failure_reason,
    (select value from identifiers i
        where i.workspace_id = d.workspace_id and i.person_id = d.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = d.workspace_id and i.person_id = d.person_id and kind = 'email') as email
from devices d join people p using (workspace_id, person_id)
where d.workspace_id = $1 and (d.person_id, d.device_id) < ($2, $3) and (d.person_id, d.device_id) >= ($4, $5)
    and p.person_id <= $2 and p.person_id >= $4 and {condition}
order by d.person_id desc, d.device_id desc
limit $6;

-- name: read
-- One device, with what its person is known by.
select d.device_id, d.workspace_id, d.person_id, d.token, d.id_kind, d.platform, d.app, d.environment, d.attributes,
    d.status, d.strikes, d.generation, d.created_at, d.registered_at, d.last_used, d.dropped_attributes, d.failure_reason,
    (select value from identifiers i
        where i.workspace_id = d.workspace_id and i.person_id = d.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = d.workspace_id and i.person_id = d.person_id and kind = 'email') as email
from devices d
where d.workspace_id = $1 and d.device_id = $2;

-- name: some
-- Devices with one of these last statuses, from a key on, and then from the first.
with chosen as (
    (select workspace_id, device_id from devices
    where workspace_id = $1 and status = any ($2::text[]) and device_id >= $3
    order by device_id limit $4)
    union all
    (select workspace_id, device_id from devices
    where workspace_id = $1 and status = any ($2::text[]) and device_id < $3
    order by device_id limit $4)
    limit $4
)
select d.device_id, d.workspace_id, d.person_id, d.token, d.id_kind, d.platform, d.app, d.environment, d.attributes,
    d.status, d.strikes, d.generation, d.created_at, d.registered_at, d.last_used, d.dropped_attributes, d.failure_reason, null as id,
    null as email
from chosen join devices d using (workspace_id, device_id);

-- name: history
-- What happened to a device before something that did, the newest first.
select at, history_id, event, from_status, to_status, from_person_id, to_person_id, generation, message_id, provider,
    provider_status, provider_reason, request_id, strikes, undone_by is not null as undone
from device_history
where workspace_id = $1 and device_id = $2 and ($3::timestamptz is null or (at, history_id) < ($3, $4::bigint))
order by at desc, history_id desc
limit $5;

-- name: pushes
-- Outcomes of pushes to a device before a message, since its person has it, newest message first.
select message_id, ending, push_reason(ending, provider, reason) as reason, provider, provider_status, provider_reason,
    attempts, settled_at
from pushes
where workspace_id = $1 and person_id = $2 and device_id = $3 and ($4::uuid is null or message_id < $4)
order by message_id desc
limit $5;

-- name: percent
-- The percentage of the table that this many disk pages are. The sample takes it as a number: with a value that is only
-- computed while it runs the planner thinks that it is a tenth of the table, and then reads all people.
select least(100, 100.0 * $1::int / greatest(1, pg_relation_size('devices') / 8192))::real;

-- name: share
-- Of how many devices on a part of the table's disk pages, the same each time, a condition is true.
select count(*) filter (where {condition}) as matching, count(*) as looked_at
from devices d tablesample system ($2::real) repeatable (7) {people}
where d.workspace_id = $1;
