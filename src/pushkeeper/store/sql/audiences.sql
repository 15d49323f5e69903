-- Audiences: of whom, and of which devices, a filter is true (core/filter_sql.py).

-- name: devices
-- How many devices a condition is true of, and how many people have them.
select count(distinct d.person_id) as people, count(*) as devices
from devices d join people p using (person_id)
where d.workspace_id = $1 and {condition};

-- name: people
-- How many people a condition is true of, and how many devices they have.
select count(*) as people, coalesce(sum((
        select count(*) from devices d where d.workspace_id = p.workspace_id and d.person_id = p.person_id
    )), 0)::bigint as devices
from people p
where p.workspace_id = $1 and {condition};

-- name: sample
-- Some devices that a condition is true of: their keys are hashes, so that the first are as good as any.
select d.device_id, d.workspace_id, d.person_id, d.token, d.id_kind, d.platform, d.app, d.environment, d.attributes,
    d.status, d.strikes, d.generation, d.created_at, d.registered_at, d.last_used
from devices d join people p using (person_id)
where d.workspace_id = $1 and {condition}
order by d.device_id
limit $2;

-- name: differences
-- How many devices a filter is true of only as it is read of people, or only as it is read of devices.
select count(*) filter (where {of_people}) as wrongly_included, count(*) filter (where {of_devices}) as wrongly_excluded
from devices d join people p using (person_id)
where d.workspace_id = $1 and {of_people} <> {of_devices};
