-- Audiences: the people and devices that match a filter (store/audiences/filter_sql.py).

-- name: devices
-- How many devices a condition is true of, and how many people have them.
select count(*) as people, coalesce(sum(g.devices), 0)::bigint as devices
from (
    select count(*) as devices
    from devices d {people}
    where d.workspace_id = $1 and {condition}
    group by d.person_id
) g;

-- name: people
-- How many people a condition is true of, and how many devices they have.
select count(*) as people, coalesce(sum(g.devices), 0)::bigint as devices
from (
    select count(o.device_id) as devices
    from people p left join devices o on o.workspace_id = p.workspace_id and o.person_id = p.person_id
    where p.workspace_id = $1 and {condition}
    group by p.person_id
) g;

-- name: part_of_devices
-- The same of one in $2 people, with what their numbers of devices spread by.
with part as materialized (
    select * from people where workspace_id = $1 {indexed} and hashint8(person_id) & ($2::int - 1) = 0
)
select count(*) as people, coalesce(sum(g.devices), 0)::bigint as devices,
    coalesce(sum(g.devices * g.devices), 0)::bigint as squares
from (
    select count(*) as devices
    from part p join devices d on d.workspace_id = p.workspace_id and d.person_id = p.person_id
    where {condition}
    group by d.person_id
) g;

-- name: part_of_people
-- The same for one in $2 people, evaluated per person.
with part as materialized (
    select * from people where workspace_id = $1 {indexed} and hashint8(person_id) & ($2::int - 1) = 0
)
select count(*) as people, coalesce(sum(g.devices), 0)::bigint as devices,
    coalesce(sum(g.devices * g.devices), 0)::bigint as squares
from (
    select count(o.device_id) as devices
    from part p left join devices o on o.workspace_id = p.workspace_id and o.person_id = p.person_id
    where {condition}
    group by p.person_id
) g;

-- name: all_people
-- About how many people there are, of all workspaces.
select greatest(reltuples, 1)::bigint from pg_class where oid = 'people'::regclass;

-- name: page
-- The next devices that a condition is true of: their keys are hashes, so that the first are as good a sample as any.
select d.device_id, d.workspace_id, d.person_id, d.token, d.id_kind, d.platform, d.app, d.environment, d.attributes,
    d.status, d.strikes, d.generation, d.created_at, d.registered_at, d.last_used, d.dropped_attributes
from devices d join people p using (workspace_id, person_id)
where d.workspace_id = $1 and d.device_id > $2 and {condition}
order by d.device_id
limit $3;

-- name: differences
-- How many devices match a filter only per person, or only per device.
with them as materialized (
    select p.person_id from people p where p.workspace_id = $1 and {of_people}
)
select count(t.person_id) as wrongly_included, count(*) - count(t.person_id) as wrongly_excluded
from devices d left join them t using (person_id) {people}
where d.workspace_id = $1 and (t.person_id is not null) <> {of_devices};

-- name: true_of
-- Which of several conditions are true of one person.
select array_remove({numbers}, null) from people p where p.workspace_id = $1 and p.person_id = $2;

-- name: plan
-- How a query would be run.
explain (format json) {query};

-- name: indexes
-- Which of these indexes are there.
select relname from pg_class
where relname = any ($1::text[]) and relkind in ('i', 'I')
    and relnamespace = (select relnamespace from pg_class where oid = to_regclass('workspaces'));
