-- What a workspace's people and devices are described by.

-- name: of_devices
-- Attributes, apps and reasons of the newest devices, each with its most frequent short values.
with newest as (
    select attributes || jsonb_strip_nulls(jsonb_build_object('app', nullif(app, ''), 'failure_reason', failure_reason))
        as said
    from devices where workspace_id = $1 order by person_id desc limit $2
),
counted as (
    select e.key as name, e.value as known, count(*) as times
    from newest cross join lateral jsonb_each_text(said) e
    where length(e.value) <= 60
    group by 1, 2
)
select name, (array_agg(known order by times desc, known))[:$3::int] as known
from counted group by name order by sum(times) desc, name;

-- name: of_people
-- Attributes of the newest people, each with its most frequent short values.
with newest as (
    select attributes from people where workspace_id = $1 order by person_id desc limit $2
),
counted as (
    select e.key as name, e.value as known, count(*) as times
    from newest cross join lateral jsonb_each_text(attributes) e
    where length(e.value) <= 60
    group by 1, 2
)
select name, (array_agg(known order by times desc, known))[:$3::int] as known
from counted group by name order by sum(times) desc, name;

-- name: events
-- Recent events of the sampled people.
select name, count(*) as times
from (
    select e.name from (
        select workspace_id, person_id from people where workspace_id = $1 order by person_id desc limit $2) p
    cross join lateral (
        select name from events e where e.workspace_id = p.workspace_id and e.person_id = p.person_id and e.kind = 'event'
        order by happened_at desc limit 5) e
) told
group by name order by times desc, name;

-- name: segments
-- The newest segments and saved audiences.
select segment_id, name from segments where workspace_id = $1 order by segment_id desc limit $2;
