-- Imports: files that bring people and devices, part by part, and the result of their records.
--
-- Rows are looked up one by one (`lateral`, `limit 1`): a table that an import fills grows faster than the server learns how
-- large it is, and a join would go through all of a workspace for each batch.

-- name: insert
-- A new import, of which no part is there yet; workers fetch the file of one that says where it is.
insert into imports (workspace_id, source, name, description, options, mapping, move, apply, fetch_from, state)
values (:workspace_id, :source, :name, :description, :options, :mapping, :move, :apply, :fetch_from::bytea,
    case when :fetch_from::bytea is null then 'uploading' else 'pending' end)
returning import_id;

-- name: add_part
-- The next part of the file of an import that is still being uploaded.
with added as (
    update imports set bytes = bytes + octet_length(:content::bytea), updated_at = now()
    where workspace_id = :workspace_id and import_id = :import_id and state = 'uploading'
    returning workspace_id, import_id
)
insert into import_parts (workspace_id, import_id, part, content)
select workspace_id, import_id, :part::int, :content::bytea from added
returning part;

-- name: uploaded
-- The file is whole: a worker may read it.
update imports set state = 'pending', next_attempt_at = now(), updated_at = now()
where workspace_id = $1 and import_id = $2 and state = 'uploading'
returning import_id;

-- name: forget_upload
-- An import whose upload ended too early.
delete from imports where workspace_id = $1 and import_id = $2 and state = 'uploading';

-- name: to_fetch
-- Where the file of a claimed import is to be had, and up to which place of it is there.
select fetch_from, fetched_to from imports
where workspace_id = $1 and import_id = $2 and claim_id = $3 and state = 'pending';

-- name: add_fetched
-- The next part of a file that is being fetched, and the place that follows it.
with added as (
    update imports set bytes = bytes + octet_length($4::bytea), fetched_to = $5, updated_at = now()
    where workspace_id = $1 and import_id = $2 and claim_id = $3 and state = 'pending'
    returning workspace_id, import_id
)
insert into import_parts (workspace_id, import_id, part, content)
select a.workspace_id, a.import_id, coalesce(
    (select max(p.part) + 1 from import_parts p where p.workspace_id = $1 and p.import_id = $2), 0), $4::bytea
from added a
returning part;

-- name: fetch_again
-- What is fetched is fetched from its beginning.
update imports set bytes = 0, fetched_to = ''
where workspace_id = $1 and import_id = $2 and claim_id = $3 and state = 'pending'
returning import_id;

-- name: fetched
-- All of the file is there, and where it was is kept no longer.
update imports set fetch_from = null, updated_at = now()
where workspace_id = $1 and import_id = $2 and claim_id = $3 and state = 'pending'
returning import_id;

-- name: repeat
-- A dry run that is done once more: applied, or with another mapping.
insert into imports (workspace_id, source, name, description, options, mapping, move, apply, bytes, state)
select workspace_id, source, name, description, options, $3, move, $4, bytes, 'pending'
from imports i
where workspace_id = $1 and import_id = $2 and state = 'done' and not apply and exists (
    select from import_parts p where p.workspace_id = i.workspace_id and p.import_id = i.import_id)
returning import_id;

-- name: hand_over
-- The file of one import is another's.
update import_parts set import_id = $3 where workspace_id = $1 and import_id = $2;

-- name: begin
-- An attempt begins to read; what it takes is counted from here.
update imports set began_at = now(), began_bytes = read_bytes + checked_bytes
where workspace_id = $1 and import_id = $2 and claim_id = $3;

-- name: all
-- The last hundred imports of a workspace, or one of them, the newest first.
select import_id, workspace_id, source, name, description, options, mapping, move, apply, state, bytes, read_bytes, records, counts,
    checked, checked_bytes, began_at, began_bytes, failure, last_error, attempts, next_attempt_at, created_at, updated_at,
    fetch_from is null and exists (
        select from import_parts p where p.workspace_id = imports.workspace_id and p.import_id = imports.import_id) as has_file
from imports where workspace_id = $1 and ($2::bigint is null or import_id = $2) order by import_id desc limit 100;

-- name: claimed
-- An import that is claimed, which nobody changes until the transaction ends.
select import_id, workspace_id, source, name, description, options, mapping, move, apply, state, bytes, read_bytes, records, counts,
    checked, checked_bytes, began_at, began_bytes, failure, last_error, attempts, next_attempt_at, created_at, updated_at,
    fetch_from is null and exists (
        select from import_parts p where p.workspace_id = imports.workspace_id and p.import_id = imports.import_id) as has_file
from imports where workspace_id = $1 and import_id = $2 and claim_id = $3 and state = 'pending'
for update;

-- name: part
-- One part of a file.
select content from import_parts where workspace_id = $1 and import_id = $2 and part = $3;

-- name: note
-- Save the progress: records and bytes that are done, their counts, and the same of the comparison.
update imports set records = $4, read_bytes = $5, counts = $6, checked = $7, checked_bytes = $8, updated_at = now()
where workspace_id = $1 and import_id = $2 and claim_id = $3;

-- name: done
-- The import is done.
update imports set state = 'done', updated_at = now()
where workspace_id = $1 and import_id = $2 and claim_id = $3 and state = 'pending';

-- name: forget_parts
-- The file of an import is kept no longer.
delete from import_parts where workspace_id = $1 and import_id = $2;

-- name: forget_keys
-- What it named is kept no longer.
delete from import_keys where workspace_id = $1 and import_id = $2;

-- name: first_seen
-- Which of these keys the file has not named before.
insert into import_keys (workspace_id, import_id, key)
select $1, $2, k.key from unnest($3::bytea[]) as k (key)
order by k.key
on conflict do nothing
returning key;

-- name: known_people
-- The people of these identifiers.
select i.kind, i.key, i.person_id
from unnest($2::text[], $3::text[]) as a (kind, key)
    cross join lateral (
        select * from identifiers i where i.workspace_id = $1 and i.kind = a.kind and i.key = a.key limit 1) i;

-- name: made_at
-- People are there since then, or for longer.
update people p set created_at = g.created_at
from unnest($2::bigint[], $3::timestamptz[]) as g (person_id, created_at)
where p.workspace_id = $1 and p.person_id = g.person_id and p.created_at > g.created_at;

-- name: devices
-- Whose the devices of tokens' keys are, and when they were last used; where people share tokens, the person's own.
select g.key, d.person_id, d.last_used
from unnest($2::bytea[], $3::bigint[]) as g (key, person_id)
    cross join lateral (
        select * from devices d where d.workspace_id = $1
            and d.device_id = case when $4::boolean then own_device($1, g.key, g.person_id) else g.key end
        limit 1) d;

-- name: shares_tokens
-- Whether people of the workspace may share a token.
select token_ownership = 'share' from workspaces where workspace_id = $1;

-- name: write
-- Devices as a file has them, each new one with its line of history. One that its person has already gets what the file says
-- only where that is newer, and keeps its status; one that somebody else has stays theirs and does not come back.
with given as (
    select g.*, case when $14::boolean then own_device($1, g.key, g.person_id) else g.key end as device_id
    from unnest($2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::jsonb[],
        $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[])
        as g (key, person_id, token, id_kind, platform, app, environment, attributes, last_used, registered_at, status,
            failure_reason)
),
before as (
    select d.device_id, d.person_id, d.last_used, d.attributes || g.attributes as merged
    from (select * from given order by device_id) g
        cross join lateral (
            select * from devices d where d.workspace_id = $1 and d.device_id = g.device_id limit 1 for no key update) d
),
newer as (
    update devices d set
        app = coalesce(g.app, d.app),
        environment = coalesce(g.environment, d.environment),
        attributes = case when (select count(*) from jsonb_object_keys(b.merged)) <= $15 then b.merged else d.attributes end,
        last_used = g.last_used
    from given g join before b using (device_id)
    where d.workspace_id = $1 and d.device_id = b.device_id and b.person_id = g.person_id and b.last_used < g.last_used
    returning d.device_id
),
made as (
    insert into devices (device_id, workspace_id, person_id, token, id_kind, platform, app, environment, attributes,
        last_used, registered_at, status, strikes, struck_at, failure_reason, shared)
    select device_id, $1, person_id, token, id_kind, platform, coalesce(app, ''), coalesce(environment, ''), attributes,
        last_used, registered_at, status, s.strikes, case when s.strikes > 0 then now() end, failure_reason, device_id <> key
    from given g, lateral (select case g.status when 'suppressed' then 2 when 'bounced' then 1 else 0 end) s (strikes)
    where not exists (select from before b where b.device_id = g.device_id)
    order by device_id
    on conflict (workspace_id, device_id) do nothing
    returning device_id, person_id, status, strikes, generation
),
told as (
    insert into device_history (workspace_id, device_id, event, to_status, strikes, to_person_id, generation, provider_reason)
    select $1, device_id, 'imported', status, strikes, person_id, generation, $16 from made
)
select g.key, 'new' as outcome from made join given g using (device_id)
union all
select g.key, case when b.person_id = g.person_id then 'known' else 'owned' end from before b join given g using (device_id);
