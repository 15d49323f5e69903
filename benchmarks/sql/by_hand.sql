-- What somebody who knows the tables would write for one audience, to hold ours against. A version that is none must not end
-- the query, and an event's time is that of when it happened.

-- name: of_devices
-- platform = ios and last_status = suppressed
select count(*) as people, sum(n) as devices
from (
    select count(*) as n from devices
    where workspace_id = $1 and platform = 'ios' and status = 'suppressed'
    group by person_id
) g;

-- name: of_versions
-- platform = ios and app_version < 4.2
select count(*) as people, sum(n) as devices
from (
    select count(*) as n from devices
    where workspace_id = $1 and platform = 'ios'
        and case when attributes ->> 'app_version' ~ '^[0-9]{1,9}([.][0-9]{1,9})*$'
            then string_to_array(attributes ->> 'app_version', '.')::bigint[] < '{4,2}' end
    group by person_id
) g;

-- name: of_attributes
-- platform = ios and person.plan = pro
select count(*) as people, sum(n) as devices
from (
    select count(*) as n from devices d join people p using (workspace_id, person_id)
    where d.workspace_id = $1 and d.platform = 'ios' and p.attributes ->> 'plan' = 'pro'
    group by d.person_id
) g;

-- name: of_a_segment
-- segment $2
select count(*) as people, sum(n) as devices
from (
    select count(*) as n from segment_members m join devices d using (workspace_id, person_id)
    where m.segment_id = $2 and d.workspace_id = $1
    group by d.person_id
) g;

-- name: of_events
-- event bought within 7d
select count(*) as people, sum(n) as devices
from (
    select count(*) as n from devices
    where workspace_id = $1 and person_id in (
        select person_id from events
        where workspace_id = $1 and name = 'bought' and happened_at between now() - interval '7 days' and now())
    group by person_id
) g;

-- name: index
-- For the next.
create index by_hand on people (workspace_id, ((attributes ->> 'visits')::int));

-- name: of_an_index
-- person.visits >= 990
select count(*) as people, sum(n) as devices
from (
    select count(*) as n from devices d join people p using (workspace_id, person_id)
    where d.workspace_id = $1 and p.workspace_id = $1 and (p.attributes ->> 'visits')::int >= 990
    group by d.person_id
) g;
