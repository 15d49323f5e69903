-- Pushes: facts, written once.

-- name: insert
-- Insert outcomes of pushes; existing rows are kept.
insert into pushes (message_day, message_id, device_id, workspace_id, person_id, generation, ending, reason, provider,
    provider_status, provider_reason, provider_id, detail, attempts, route_id)
select * from unnest($1::date[], $2::uuid[], $3::bytea[], $4::bigint[], $5::bigint[], $6::int[], $7::text[], $8::text[],
    $9::text[], $10::smallint[], $11::text[], $12::text[], $13::text[], $14::smallint[], $15::bigint[])
on conflict do nothing;

-- name: written_now
-- Which of these rows are of this transaction.
select p.message_id, p.device_id
from pushes p
    join unnest($1::date[], $2::uuid[], $3::bytea[], $4::bigint[]) as g (message_day, message_id, device_id, workspace_id)
        using (workspace_id, message_day, message_id, device_id)
where p.xmin = pg_current_xact_id()::xid;
