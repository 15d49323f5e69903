-- What is known of those whom a message is rendered for.

-- name: people
-- People's attributes, and what they are known by.
select p.person_id, p.attributes,
    (select value from identifiers i where i.person_id = p.person_id and kind = 'id') as id,
    (select value from identifiers i where i.person_id = p.person_id and kind = 'email') as email
from people p where p.person_id = any ($1::bigint[]);

-- name: told
-- What the sender of a message tells of one person alone.
select m.message_id, m.person_id, m.data
from message_people m join unnest($1::uuid[], $2::bigint[]) as w (message_id, person_id) using (message_id, person_id)
where m.data is not null;

-- name: devices
-- Devices' attributes.
select device_id, attributes, platform, app from devices where device_id = any ($1::bytea[]);

-- name: events
-- The latest of an event that each person did.
select w.message_id, w.person_id, e.name, e.data, e.happened_at
from unnest($1::uuid[], $2::bigint[], $3::text[]) as w (message_id, person_id, name)
cross join lateral (
    select e.name, e.data, e.happened_at from events e
    where e.person_id = w.person_id and e.name = w.name
    order by e.happened_at desc
    limit 1
) e;
