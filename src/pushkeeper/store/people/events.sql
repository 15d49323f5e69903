-- Events: what people did, and what counts once.

-- name: first_time
-- Remember these ids; those that were not known come back.
insert into seen_once (workspace_id, once)
select distinct * from unnest($1::bigint[], $2::bytea[])
on conflict do nothing
returning workspace_id, once;

-- name: insert
-- What people did.
insert into events (workspace_id, person_id, anonymous_id, kind, name, data, happened_at)
select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[]);

-- name: claim
-- Claim anonymous ids that nobody identified with before for these people; others are unchanged and not returned.
insert into anonymous_ids (workspace_id, anonymous_id, person_id)
select * from unnest($1::bigint[], $2::text[], $3::bigint[])
on conflict do nothing
returning workspace_id, anonymous_id, person_id;

-- name: attach
-- Assign the last thirty days' events of anonymous ids to the people who identified with them first.
update events e set person_id = a.person_id
from unnest($1::bigint[], $2::text[], $3::bigint[]) as a (workspace_id, anonymous_id, person_id)
where e.workspace_id = a.workspace_id and e.anonymous_id = a.anonymous_id and e.person_id is null
    and e.received_at > now() - interval '30 days';

-- name: forget_seen
-- Forget IDs of calls that are older than a day.
-- across workspaces: it is tidied for all.
delete from seen_once where seen_at < now() - interval '25 hours';

-- name: keep_device
-- Store devices of anonymous IDs; the last registration of a device counts.
insert into anonymous_devices (workspace_id, device_id, anonymous_id, registration)
select * from unnest($1::bigint[], $2::bytea[], $3::text[], $4::jsonb[])
on conflict (workspace_id, device_id) do update set
    anonymous_id = excluded.anonymous_id,
    registration = anonymous_devices.registration || excluded.registration,
    told_at = now();

-- name: take_devices
-- Take the devices of these anonymous IDs, which now have an owner.
delete from anonymous_devices d
using unnest($1::bigint[], $2::text[], $3::bigint[]) as a (workspace_id, anonymous_id, person_id)
where d.workspace_id = a.workspace_id and d.anonymous_id = a.anonymous_id
returning a.person_id, d.workspace_id, d.registration;

-- name: detach
-- Detach the last thirty days' events of these anonymous IDs, so that nobody gets them by identifying later.
update events e set anonymous_id = null
from unnest($1::bigint[], $2::text[]) as a (workspace_id, anonymous_id)
where e.workspace_id = a.workspace_id and e.anonymous_id = a.anonymous_id and e.person_id is null
    and e.received_at > now() - interval '30 days';

-- name: drop_devices
-- Delete the devices of these anonymous IDs.
delete from anonymous_devices d using unnest($1::bigint[], $2::text[]) as a (workspace_id, anonymous_id)
where d.workspace_id = a.workspace_id and d.anonymous_id = a.anonymous_id;

-- name: forget_devices
-- Delete anonymous devices by their keys: they are deleted, or have an owner.
delete from anonymous_devices d using unnest($1::bigint[], $2::bytea[]) as g (workspace_id, device_id)
where d.workspace_id = g.workspace_id and d.device_id = g.device_id;

-- name: forget_old_devices
-- Anonymous devices that nobody identified by in ninety days.
-- across workspaces: it is tidied for all.
delete from anonymous_devices where told_at < now() - interval '90 days';

-- name: note
-- Store a note about an object, or about relationships to one.
insert into object_notes (workspace_id, said) values ($1, $2);

-- name: notes_of
-- Notes that contain any of this, oldest first.
select said from object_notes where workspace_id = $1 and said @> any ($2::jsonb[]) order by note_id;
