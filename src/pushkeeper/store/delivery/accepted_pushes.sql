-- Acceptances: pushes that a provider took, written with what that makes of their devices.

-- name: settle
-- The rows of accepted pushes, and their devices sent. Answers with those whose device stood otherwise than most do
-- (bounced, suppressed, or changed meanwhile): they are for the whole table of devices.settle.
with given as (
    select r.device_id, r.person_id, r.generation, r.provider_id, k.*
    from unnest($1::bytea[], $2::bigint[], $3::int[], $4::text[], $5::int[])
        as r (device_id, person_id, generation, provider_id, kind)
    join unnest($6::date[], $7::uuid[], $8::bigint[], $9::text[], $10::smallint[], $11::text[],
            $12::smallint[], $13::bigint[]) with ordinality
        as k (message_day, message_id, workspace_id, provider, provider_status, provider_reason, attempts, route_id,
            kind)
        using (kind)
),
new as (
    insert into pushes (message_day, message_id, device_id, workspace_id, person_id, generation, ending, provider,
        provider_status, provider_reason, provider_id, attempts, route_id)
    select message_day, message_id, device_id, workspace_id, person_id, generation, 'accepted', provider, provider_status,
        provider_reason, provider_id, attempts, route_id
    from given
    on conflict do nothing
    returning workspace_id, message_id, device_id, generation, provider, provider_status, provider_reason
),
changed as (
    update devices d set status = 'sent'
    from new n
    where d.workspace_id = n.workspace_id and d.device_id = n.device_id and d.generation = n.generation and d.status = '' and d.stale_generation is null
    returning d.device_id, d.workspace_id, d.person_id, d.generation, n.message_id, n.provider, n.provider_status,
        n.provider_reason
),
told as (
    insert into device_history (workspace_id, device_id, event, from_status, to_status, strikes, from_person_id,
        to_person_id, generation, message_id, provider, provider_status, provider_reason, route_id)
    select c.workspace_id, c.device_id, 'accepted', '', 'sent', 0, c.person_id, c.person_id, c.generation, c.message_id,
        c.provider, c.provider_status, c.provider_reason, g.route_id
    from changed c join given g using (workspace_id, message_id, device_id)
)
select n.message_id, n.device_id
from new n join devices d using (workspace_id, device_id, generation)
where n.device_id not in (select device_id from changed) and (d.status <> 'sent' or d.stale_generation is not null);
