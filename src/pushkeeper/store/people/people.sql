-- People and their identifiers.

-- name: owners
-- The people of these identifiers, with all of their identifiers.
with asked as (
    select distinct i.workspace_id, i.person_id
    from unnest($1::bigint[], $2::text[], $3::text[]) as a (workspace_id, kind, key)
    join identifiers i using (workspace_id, kind, key)
    union
    select p.workspace_id, p.person_id
    from unnest($4::bigint[], $5::bigint[]) as c (workspace_id, person_id)
    join people p using (workspace_id, person_id)
)
select p.workspace_id, p.person_id, i.kind, i.key
from asked join people p using (workspace_id, person_id) left join identifiers i using (workspace_id, person_id);

-- name: named
-- The people of these identifiers, made where nobody has one; somebody whom another is just making does not come back,
-- and nobody is made of an identifier that is blocked.
with asked as (
    select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
        as a (workspace_id, kind, key, value, hash)
),
known as (
    select workspace_id, kind, key, i.person_id from asked join identifiers i using (workspace_id, kind, key)
),
made as (
    insert into identifiers (workspace_id, kind, key, value, person_id)
    select workspace_id, kind, key, value, nextval('people_person_id_seq')
    from asked a
    where not exists (
        select from known k where (k.workspace_id, k.kind, k.key) = (a.workspace_id, a.kind, a.key))
        and not exists (
        select from blocked b
        where b.workspace_id = a.workspace_id and b.kind = a.kind and b.key in (a.hash, a.key))
    order by workspace_id, kind, key
    on conflict do nothing
    returning workspace_id, kind, key, person_id
),
-- The identifiers' foreign key is looked at when the statement is over: then they are there.
born as (
    insert into people (person_id, workspace_id) select person_id, workspace_id from made
)
select * from known union all select * from made;

-- name: are_blocked
-- Which of these identifiers nobody may get.
select a.workspace_id, a.kind, a.key
from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) as a (workspace_id, kind, key, hash)
where exists (
    select from blocked b where b.workspace_id = a.workspace_id and b.kind = a.kind and b.key in (a.hash, a.key));

-- name: identifiers
-- What a person is known by.
select kind, key from identifiers where workspace_id = $1 and person_id = $2;

-- name: gain
-- A person gains the attributes of another that they lack, with their times, and the other's anonymous ids, segments and
-- events of thirty days.
with other as (
    select o.attributes, o.unsubscribed, (
            select coalesce(jsonb_object_agg(t.key, t.value), '{}')
            from jsonb_each(o.changed_at) t,
                substring(t.key from '^(cio_subscription_preferences)[.][^.]+[.].') entry,
                coalesce(entry, t.key) name
            where o.attributes ? name and not p.attributes ? name
        ) as changed_at
    from people o, people p
    where o.workspace_id = $1 and o.person_id = $3 and p.workspace_id = $1 and p.person_id = $2
),
anonymous as (
    update anonymous_ids set person_id = $2 where workspace_id = $1 and person_id = $3
),
segments as (
    insert into segment_members (workspace_id, segment_id, person_id)
    select workspace_id, segment_id, $2 from segment_members where workspace_id = $1 and person_id = $3
    on conflict do nothing
),
told as (
    update events set person_id = $2
    where workspace_id = $1 and person_id = $3 and received_at > now() - interval '30 days'
),
failed as (
    update failed_changes set person_id = case person_id when $3 then $2 else person_id end,
        owner_id = case owner_id when $3 then $2 else owner_id end
    where workspace_id = $1 and (person_id = $3 or owner_id = $3)
),
noted as (
    insert into merged_people (workspace_id, former_id, person_id) values ($1, $3, $2)
),
chained as (
    update merged_people set person_id = $2 where workspace_id = $1 and person_id = $3
)
update people p set
    attributes = o.attributes || p.attributes,
    changed_at = p.changed_at || o.changed_at,
    unsubscribed = case when p.attributes ? 'unsubscribed' then p.unsubscribed else p.unsubscribed or o.unsubscribed end
from other o
where p.workspace_id = $1 and p.person_id = $2;

-- name: create
-- New people in these workspaces, without identifiers yet.
insert into people (workspace_id)
select * from unnest($1::bigint[])
returning person_id, workspace_id;

-- name: claim_identifiers
-- Give identifiers to people; one that somebody has stays with them and does not come back.
insert into identifiers (workspace_id, kind, key, value, person_id)
select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
on conflict do nothing
returning workspace_id, kind, key, person_id;

-- name: drop_identifiers
-- Take identifiers of these kinds from people, before they are given others.
delete from identifiers i using unnest($1::bigint[], $2::bigint[], $3::text[]) as d (workspace_id, person_id, kind)
where i.workspace_id = d.workspace_id and i.person_id = d.person_id and i.kind = d.kind;

-- name: update
-- Merge attributes into people: those that are set, and those that are removed, unless they were set or removed later. $6 has
-- the times of all of them, also of removals, so that older changes are ignored. Preferences are set as a whole, or by the
-- dotted names of their entries. People who would have more than $8 attributes, or preferences of more than $9 bytes, are not
-- returned; beyond $10 times, the oldest ones of removed attributes are deleted.
with change as (
    select * from unnest(
        $1::bigint[], $2::bigint[], $3::jsonb[], $4::jsonb[], $5::boolean[], $6::jsonb[], $7::jsonb[])
        as c (workspace_id, person_id, attributes, removed, unsubscribed, times, preferences)
),
locked as (
    -- With what is to change: of a second join by two columns the planner expects so little that it goes through all for each.
    select c.*, p.attributes as had, p.changed_at as had_at
    from people p join change c using (workspace_id, person_id)
    order by p.person_id
    for no key update of p
),
fresh as (
    select l.workspace_id, l.person_id, l.had, l.had_at, l.preferences, l.times - n.late as times,
        (l.had || (l.attributes - n.late)) - array(select jsonb_object_keys(l.removed - n.late)) as attributes,
        case when 'unsubscribed' <> all (n.late) then l.unsubscribed end as unsubscribed
    from locked l,
        lateral (
            select coalesce(array_agg(t.key), '{}') as late from jsonb_each(l.times) t
            where is_late(t.value, l.had_at -> t.key)
        ) n
),
merged as materialized (
    select f.workspace_id, f.person_id, f.unsubscribed,
        case when f.preferences = '{}' and not f.times ? 'cio_subscription_preferences'
            then array[f.attributes, f.had_at || f.times]
            else merged_preferences(f.had, f.had_at, f.attributes, f.times, f.preferences) end as had
    from fresh f
)
update people p set
    attributes = m.had[1],
    changed_at = case when pg_column_size(m.had[2]) <= 20 * $10 then m.had[2] else (
        select jsonb_object_agg(t.key, t.value) from (
            select * from jsonb_each(m.had[2]) order by m.had[1] ? key desc, value desc limit $10) t) end,
    unsubscribed = coalesce(m.unsubscribed, p.unsubscribed)
from merged m
where p.workspace_id = m.workspace_id and p.person_id = m.person_id
    and (select count(*) from jsonb_object_keys(m.had[1])) <= $8
    and octet_length(coalesce(m.had[1] ->> 'cio_subscription_preferences', '')) <= $9
returning p.person_id;

-- name: present
-- Which of these people are there, and whether this very transaction made them.
select p.person_id, p.created_at = now() as is_new
from people p join unnest($1::bigint[], $2::bigint[]) as k (workspace_id, person_id) using (workspace_id, person_id);

-- name: find
-- The person behind one identifier.
select person_id from identifiers where workspace_id = $1 and kind = $2 and key = $3;

-- name: find_all
-- The people behind identifiers; one that nobody has brings nobody.
select i.person_id
from unnest($2::text[], $3::text[]) as given (kind, key)
join identifiers i on i.workspace_id = $1 and i.kind = given.kind and i.key = given.key;

-- name: exists
-- The person of this id, if there is one in the workspace.
select person_id from people where workspace_id = $1 and person_id = $2;

-- name: read
-- A person with their identifiers.
select p.person_id, p.attributes, p.changed_at, p.unsubscribed, p.created_at,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'email') as email
from people p
where p.workspace_id = $1 and p.person_id = $2;

-- name: lock
-- Keep this person from getting devices until we are done with them.
select person_id from people where workspace_id = $1 and person_id = $2 for update;

-- name: delete
-- The person is gone; their identifiers go with them.
delete from people where workspace_id = $1 and person_id = $2;

-- name: read_all
-- People by their keys, with their identifiers.
select p.person_id, p.attributes, p.changed_at, p.unsubscribed, p.created_at,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'email') as email
from people p
where p.workspace_id = $1 and p.person_id = any ($2::bigint[])
order by p.person_id;
