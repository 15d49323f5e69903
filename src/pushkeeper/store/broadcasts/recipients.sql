-- Recipients: the people and devices that are named for a broadcast.

-- name: list_people
-- People who are named for a broadcast, each with their own data; of a person who is named twice it is the last.
insert into broadcast_people (workspace_id, broadcast_id, person_id, data)
select distinct on (p.person_id) $1::bigint, $2::bigint, p.person_id, nullif(p.data, 'null')
from unnest($3::bigint[], $4::jsonb[]) with ordinality as p (person_id, data, place)
order by p.person_id, p.place desc
on conflict (workspace_id, broadcast_id, person_id) do update set data = excluded.data;

-- name: unlist
-- No people are named for a broadcast.
delete from broadcast_people where workspace_id = $1 and broadcast_id = $2;

-- name: known
-- The people of these identifiers.
select i.kind, i.key, i.person_id
from identifiers i join unnest($2::text[], $3::text[]) as k (kind, key) using (kind, key)
where i.workspace_id = $1
union all
select 'cio_id', null, p.person_id
from people p
where p.workspace_id = $1 and p.person_id = any ($4::bigint[]);

-- name: known_devices
-- The devices of tokens, by the keys of those: of a token that several share, each person's own.
select k.key, d.device_id
from unnest($2::bytea[]) as k (key) join devices d on d.workspace_id = $1 and d.device_id = k.key
union all
select token_device($1, d.token), d.device_id
from devices d
where d.workspace_id = $1 and d.shared and token_device($1, d.token) = any ($2::bytea[]);
