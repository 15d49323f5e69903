-- Held verdicts: refusals that may be a setting's fault, not believed yet.

-- name: still_unproven
-- Which of these routes have accepted nothing yet; it stays so until the transaction ends.
select r.route_id
from routes r join unnest($1::bigint[], $2::bigint[]) as k (workspace_id, route_id) using (workspace_id, route_id)
where r.accepted_at is null
for share of r;

-- name: hold
-- Keep refusals aside.
insert into held_verdicts (message_id, device_id, workspace_id, route_id, person_id, generation, why, priority, attempt,
    first_attempt_at, reason, provider, provider_status, provider_reason, detail)
select * from unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[], $7::text[],
    $8::smallint[], $9::smallint[], $10::timestamptz[], $11::text[], $12::text[], $13::smallint[], $14::text[],
    $15::text[])
on conflict do nothing;

-- name: take
-- Up to $4 verdicts that are held on routes, for these reasons, which are held no more.
delete from held_verdicts
where (workspace_id, message_id, device_id) in (
    select h.workspace_id, h.message_id, h.device_id
    from held_verdicts h
        join unnest($1::bigint[], $2::bigint[]) as k (workspace_id, route_id) using (workspace_id, route_id)
    where h.why = any ($3::text[])
    order by h.route_id, h.message_id, h.device_id
    limit $4
    for update of h skip locked)
returning message_id, device_id, workspace_id, route_id, person_id, generation, why, priority, attempt,
    first_attempt_at, reason, provider, provider_status, provider_reason, detail;

-- name: send_again
-- Put pushes whose refusal was not their device's fault back into the queue, in their route's lane.
insert into batches (workspace_id, message_id, priority, attempt, first_attempt_at, device_ids, person_ids, lane)
select workspace_id, message_id, priority, attempt, min(first_attempt_at), array_agg(device_id), array_agg(person_id),
    route_id
from unnest($1::bigint[], $2::uuid[], $3::smallint[], $4::smallint[], $5::timestamptz[], $6::bytea[], $7::bigint[],
    $8::bigint[])
    as g (workspace_id, message_id, priority, attempt, first_attempt_at, device_id, person_id, route_id)
group by workspace_id, message_id, priority, attempt, route_id;
