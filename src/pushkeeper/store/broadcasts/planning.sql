-- Planning: broadcasts are cut into batches, a page at a time, by any worker.

-- name: file
-- The file of a broadcast that is claimed, which nobody changes until the transaction ends.
select broadcast_id, file_url as url, ignore_missing
from broadcasts where workspace_id = $1 and broadcast_id = $2 and claim_id = $3 and state = 'fetching'
for update;

-- name: begin
-- Start a broadcast: create its message, whose lifetime starts now, and fix the audiences that it refers to.
with message as (
    insert into messages (message_id, workspace_id, kind, content, send_to_unsubscribed, created_at, send_at, expires_at,
        template_id, wording)
    select :message_id::uuid, workspace_id, 'broadcast', content, send_to_unsubscribed, :minted_at::timestamptz, now(),
        now() + :lives::interval, template_id, wording
    from broadcasts where workspace_id = :workspace_id and broadcast_id = :broadcast_id
)
update broadcasts set state = 'planning', message_id = :message_id, saved = :saved, started_at = coalesce(started_at, now())
where workspace_id = :workspace_id and broadcast_id = :broadcast_id;

-- name: advance
-- So far is a plan; with a bounded rate, its slots are taken up to here.
update broadcasts set last_device = $3, last_person = $4, devices = devices + $5,
    next_slot_at = coalesce($6, next_slot_at)
where workspace_id = $1 and broadcast_id = $2;

-- name: next_pass
-- This pass is finished; the next one is due later.
update broadcasts set pass = pass + 1, pass_at = $3, last_device = '', last_person = 0
where workspace_id = $1 and broadcast_id = $2;

-- name: fetched
-- The people of the file are listed; planning continues.
update broadcasts set state = 'planning', listed = true, claimed_until = null, claim_id = null, attempts = 0,
    last_error = null, next_attempt_at = now()
where workspace_id = $1 and broadcast_id = $2 and claim_id = $3 and state = 'fetching';

-- name: planned
-- Nobody is left to plan for.
update broadcasts set state = 'planned', planned_at = now() where workspace_id = $1 and broadcast_id = $2;

-- name: devices
-- Cut the next page of a workspace's devices that match the conditions into batches by lane; with a rate ($13), each batch
-- gets a slot. Returns the last device. If some are of kinds that the lanes ($5 to $9, null for no lane) lack, it returns those
-- kinds and cuts nothing.
with page as materialized (
    select d.device_id, d.person_id, coalesce(l.lane, 0) as lane, case when l.platform is null
        then array[d.platform, d.app, d.environment, token_shape(d.platform, d.token)] end as new_kind
    from devices d {people}
    left join unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[]) as l (platform, app, environment, shape, lane)
        on l.platform = d.platform and l.app = d.app and l.environment = d.environment
            and l.shape = token_shape(d.platform, d.token)
    where d.workspace_id = $1 and d.device_id > $10 and {condition}
    order by d.device_id
    limit $11
),
numbered as (
    select *, (row_number() over (partition by lane order by device_id) - 1) / $12 as batch from page
),
cut as (
    select lane, batch, array_agg(device_id) as device_ids, array_agg(person_id) as person_ids, count(*) as size
    from numbered
    group by lane, batch
),
slots as (
    select *, $4::timestamptz + make_interval(secs => (sum(size) over (order by batch, lane) - size) / $13::float8) as slot_at from cut
),
planned as (
    insert into batches (workspace_id, message_id, priority, due_at, slot_at, device_ids, person_ids, lane)
    select $1, $2, $3, coalesce(slot_at, $4), slot_at, device_ids, person_ids, lane
    from slots where not exists (select from page where new_kind is not null)
)
select (select device_id from page order by device_id desc limit 1) as last, (select count(*) from page) as devices,
    (select array_agg(distinct new_kind) from page where new_kind is not null) as new_kinds;

-- name: listed
-- The next page of the people who are named for a broadcast, and those of their devices of which conditions are true, cut
-- into batches likewise; of those who have no device there is a record. Answers with the last of them.
with named as materialized (
    select person_id from broadcast_people
    where workspace_id = $1 and person_id > $10
        and broadcast_id = (select broadcast_id from broadcasts where workspace_id = $1 and message_id = $2)
    order by person_id
    limit $11
),
page as materialized (
    select d.device_id, d.person_id, coalesce(l.lane, 0) as lane, case when l.platform is null
        then array[d.platform, d.app, d.environment, token_shape(d.platform, d.token)] end as new_kind
    from named n
    join people p on p.workspace_id = $1 and p.person_id = n.person_id
    join devices d on d.workspace_id = $1 and d.person_id = n.person_id
    left join unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[]) as l (platform, app, environment, shape, lane)
        on l.platform = d.platform and l.app = d.app and l.environment = d.environment
            and l.shape = token_shape(d.platform, d.token)
    where {condition}
),
numbered as (
    select *, (row_number() over (partition by lane order by device_id) - 1) / $12 as batch from page
),
cut as (
    select lane, batch, array_agg(device_id) as device_ids, array_agg(person_id) as person_ids, count(*) as size
    from numbered
    group by lane, batch
),
slots as (
    select *, $4::timestamptz + make_interval(secs => (sum(size) over (order by batch, lane) - size) / $13::float8) as slot_at from cut
),
planned as (
    insert into batches (workspace_id, message_id, priority, due_at, slot_at, device_ids, person_ids, lane)
    select $1, $2, $3, coalesce(slot_at, $4), slot_at, device_ids, person_ids, lane
    from slots where not exists (select from page where new_kind is not null)
),
nobody as (
    insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, reason)
    select (m.created_at at time zone 'utc')::date, m.message_id, int8send(n.person_id), $1, n.person_id, 'skipped',
        'no_device'
    from named n cross join messages m
    where m.workspace_id = $1 and m.message_id = $2
        and not exists (select from devices d where d.workspace_id = $1 and d.person_id = n.person_id)
        and exists (select from people w where w.workspace_id = $1 and w.person_id = n.person_id)
    on conflict do nothing
)
select (select max(person_id) from named) as last, (select count(*) from named) as people,
    (select count(*) from page) as devices,
    (select array_agg(distinct new_kind) from page where new_kind is not null) as new_kinds;
