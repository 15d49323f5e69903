-- People as one pages through them, the newest first.

-- name: bound
-- The person at an offset after another one: the end of one slice.
select person_id from people where workspace_id = $1 and person_id < $2
order by person_id desc
offset $3::int - 1 limit 1;

-- name: page
-- People after one of them and up to another who match a condition (store/audiences/filter_sql.py).
select p.person_id, p.unsubscribed, p.created_at,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'email') as email,
    (select coalesce(jsonb_object_agg(status, devices), '{}') from (
        select d.status, count(*) as devices from devices d
        where d.workspace_id = p.workspace_id and d.person_id = p.person_id group by d.status) s) as devices
from people p
where p.workspace_id = $1 and p.person_id < $2 and p.person_id >= $3 and {condition}
order by p.person_id desc
limit $4;

-- name: search
-- A page of the people who match a condition (store/audiences/filter_sql.py), by their keys.
select p.person_id,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'email') as email
from people p
where p.workspace_id = $1 and p.person_id > $2 and {condition}
order by p.person_id
limit $3;
