-- The data of recipients for whom a message is rendered.

-- name: people
-- People's attributes, and what they are known by.
select p.person_id, p.attributes,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'email') as email
from unnest($1::bigint[], $2::bigint[]) as k (workspace_id, person_id) join people p using (workspace_id, person_id);

-- name: told
-- The sender's data for one person of a broadcast.
select b.message_id, p.person_id, p.data
from unnest($1::bigint[], $2::uuid[], $3::bigint[]) as w (workspace_id, message_id, person_id)
    join broadcasts b using (workspace_id, message_id)
    join broadcast_people p using (workspace_id, broadcast_id, person_id)
where p.data is not null;

-- name: devices
-- Devices' attributes.
select d.device_id, d.attributes, d.platform, d.app
from devices d join unnest($1::bigint[], $2::bytea[]) as k (workspace_id, device_id) using (workspace_id, device_id);

-- name: events
-- The latest of an event that each person did.
select w.message_id, w.person_id, e.name, e.data, e.happened_at
from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[]) as w (workspace_id, message_id, person_id, name)
cross join lateral (
    select e.name, e.data, e.happened_at from events e
    where e.workspace_id = w.workspace_id and e.person_id = w.person_id and e.name = w.name
    order by e.happened_at desc
    limit 1
) e;
