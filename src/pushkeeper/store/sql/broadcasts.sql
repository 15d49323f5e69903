-- Broadcasts: messages on their way to many, planned page by page.

-- name: insert
-- A new broadcast of a message.
insert into broadcasts (workspace_id, message_id, template_id, state, audience, listed, file_url, ignore_missing)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning broadcast_id;

-- name: list_people
-- People who are named for a message, with what is told to each alone; whoever is named twice is told the last.
insert into message_people (message_id, person_id, data)
select distinct on (p.person_id) $1::uuid, p.person_id, nullif(p.data, 'null')
from unnest($2::bigint[], $3::jsonb[]) with ordinality as p (person_id, data, place)
order by p.person_id, p.place desc
on conflict (message_id, person_id) do update set data = excluded.data;

-- name: next
-- A broadcast in this state that nobody else has in hand; one that has enough batches waiting has time.
select b.broadcast_id, b.workspace_id, b.message_id, b.state, b.audience, b.listed, b.file_url, b.ignore_missing,
    b.last_device, b.last_person, m.send_at
from broadcasts b join messages m using (message_id)
where b.state = $1 and b.plan_after <= now()
    and (select count(*) from (select from batches q where q.message_id = b.message_id limit $2) waiting) < $2
order by b.broadcast_id
for update of b skip locked
limit 1;

-- name: advance
-- So far is a plan.
update broadcasts set last_device = $2, last_person = $3, devices = devices + $4, plan_failures = 0
where broadcast_id = $1;

-- name: put_off
-- A page could not be planned: others go first, and at the tenth time it is given up.
update broadcasts set
    plan_failures = plan_failures + 1,
    plan_after = now() + make_interval(secs => 5 * 2 ^ least(plan_failures, 6)),
    state = case when plan_failures >= 9 then 'failed' else state end,
    failure = case when plan_failures >= 9 then $2 end
where broadcast_id = $1 and state = 'planning';

-- name: fetched
-- Those named in the file are listed.
update broadcasts set state = 'planning', listed = true where broadcast_id = $1 and state = 'fetching';

-- name: planned
-- Nobody is left to plan for.
update broadcasts set state = 'planned', planned_at = now() where broadcast_id = $1;

-- name: failed
-- It cannot be planned.
update broadcasts set state = 'failed', failure = $2 where broadcast_id = $1 and state in ('fetching', 'planning');

-- name: read
-- One broadcast of a template.
select broadcast_id, message_id, template_id, state, devices, failure, created_at, planned_at
from broadcasts where workspace_id = $1 and template_id = $2 and broadcast_id = $3;

-- name: under_plan
-- How many broadcasts of a template are not planned yet.
select count(*) from broadcasts where template_id = $1 and state in ('fetching', 'planning');

-- name: known
-- The people of these identifiers.
select i.kind, i.key, i.person_id
from identifiers i join unnest($2::text[], $3::text[]) as k (kind, key) using (kind, key)
where i.workspace_id = $1
union all
select 'cio_id', null, p.person_id
from people p
where p.workspace_id = $1 and p.person_id = any ($4::bigint[]);

-- name: plan_listed
-- The next page of the people who are named for a message, and their devices cut into batches by the lane that each is for;
-- of those who have none there is a record. Answers with the last of them.
with named as materialized (
    select person_id from message_people where message_id = $2 and person_id > $9 order by person_id limit $10
),
page as materialized (
    select d.device_id, d.person_id, coalesce(l.lane, 0) as lane
    from named n
    join devices d on d.workspace_id = $1 and d.person_id = n.person_id
    left join unnest($5::text[], $6::text[], $7::text[], $8::bigint[]) as l (platform, app, environment, lane)
        on l.platform = d.platform and l.app = d.app and l.environment = d.environment
),
numbered as (
    select *, (row_number() over (partition by lane order by device_id) - 1) / $11 as batch from page
),
planned as (
    insert into batches (workspace_id, message_id, priority, due_at, device_ids, person_ids, lane)
    select $1, $2, $3, $4, array_agg(device_id), array_agg(person_id), lane
    from numbered
    group by lane, batch
),
nobody as (
    insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, reason)
    select (m.created_at at time zone 'utc')::date, m.message_id, int8send(n.person_id), $1, n.person_id, 'skipped',
        'no_device'
    from named n cross join messages m
    where m.message_id = $2 and not exists (select from page p where p.person_id = n.person_id)
        and exists (select from people w where w.person_id = n.person_id)
    on conflict do nothing
)
select (select max(person_id) from named) as last, (select count(*) from named) as people,
    (select count(*) from page) as devices;
