-- Messages as one pages through them, the newest first; and the deliveries of one that went to many.

-- name: bound
-- The message at an offset after another one: the end of one slice.
select message_id from messages where workspace_id = $1 and message_id < $2
order by message_id desc
offset $3::int - 1 limit 1;

-- name: page
-- Messages after one of them and up to another, with recipient and outcome; optionally only those of a metric, a kind or
-- a template, or created before a time.
select m.message_id, m.kind, coalesce(m.content ->> 'title', m.content ->> 'message', '') as title, m.created_at,
    m.send_at, m.template_id, m.drafted, m.person_id,
    (select value from identifiers i
        where i.workspace_id = m.workspace_id and i.person_id = m.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = m.workspace_id and i.person_id = m.person_id and kind = 'email') as email,
    case when m.kind = 'transactional' then (
        select coalesce(jsonb_object_agg(metric, pushes), '{}') from (
            select push_metric(p.ending, p.reason) as metric, count(*) as pushes from pushes p
            where p.workspace_id = m.workspace_id and p.message_day = (m.created_at at time zone 'utc')::date
                and p.message_id = m.message_id
            group by 1) s)
        else '{}' end as metrics,
    b.broadcast_id, case when b.planned_at is null then greatest(b.devices, (b.preflight ->> 'devices')::bigint) else b.devices end as devices,
    exists (select from batches q where q.workspace_id = m.workspace_id and q.message_id = m.message_id) as waiting
from messages m left join broadcasts b using (workspace_id, message_id)
where m.workspace_id = $1 and m.message_id < $2 and ($3::uuid is null or m.message_id >= $3)
    and ($5::text is null or m.kind = $5)
    -- A limit keeps each look-up one of an index: all pushes of all days are not to be read once instead.
    and ($6::text is null or case
        when m.kind = 'broadcast' then exists (
            select from broadcast_tallies t
            where t.workspace_id = m.workspace_id and t.message_id = m.message_id and push_metric(t.ending, t.reason) = $6)
        or exists (
            select from broadcast_engagement e
            where e.workspace_id = m.workspace_id and e.message_id = m.message_id and e.metric = $6)
        when $6 = 'drafted' then m.drafted
        when $6 in ('delivered', 'opened', 'clicked', 'converted') then (
            select true from reports r
            where r.workspace_id = m.workspace_id and r.message_id = m.message_id and r.person_id = m.person_id
                and r.metric = $6
            limit 1)
        else (
            select true from pushes p
            where p.workspace_id = m.workspace_id and p.message_day = (m.created_at at time zone 'utc')::date
                and p.message_id = m.message_id and push_metric(p.ending, p.reason) = $6
            limit 1)
        end)
    and ($7::bigint is null or m.template_id = $7)
    and ($8::timestamptz is null or m.created_at < $8)
order by m.message_id desc
limit $4;

-- name: to_many
-- Messages to many before one of them; only those of a template or a metric, or made before a time, where that is asked for.
select m.message_id, m.kind, coalesce(m.content ->> 'title', m.content ->> 'message', '') as title, m.created_at,
    m.send_at, m.template_id, m.drafted, m.person_id, null as id, null as email, '{}'::jsonb as metrics,
    b.broadcast_id, case when b.planned_at is null then greatest(b.devices, (b.preflight ->> 'devices')::bigint) else b.devices end as devices,
    exists (select from batches q where q.workspace_id = m.workspace_id and q.message_id = m.message_id) as waiting
from broadcasts b join messages m using (workspace_id, message_id)
where b.workspace_id = $1 and b.message_id < $2 and ($4::bigint is null or m.template_id = $4)
    and ($5::timestamptz is null or m.created_at < $5)
    and ($6::text is null or exists (
            select from broadcast_tallies t
            where t.workspace_id = m.workspace_id and t.message_id = m.message_id and push_metric(t.ending, t.reason) = $6)
        or exists (
            select from broadcast_engagement e
            where e.workspace_id = m.workspace_id and e.message_id = m.message_id and e.metric = $6))
order by b.message_id desc
limit $3;

-- name: own
-- Deliveries with content and outcome, newest first.
select m.message_id, g.person_id, m.kind, coalesce(m.content ->> 'title', m.content ->> 'message', '') as title,
    m.created_at, (
        select coalesce(jsonb_object_agg(metric, pushes), '{}') from (
            select push_metric(p.ending, p.reason) as metric, count(*) as pushes from pushes p
            where p.workspace_id = m.workspace_id and p.message_day = (m.created_at at time zone 'utc')::date
                and p.message_id = m.message_id and p.person_id = g.person_id
            group by 1) s) as metrics
from unnest($2::uuid[], $3::bigint[]) as g (message_id, person_id)
    join messages m on m.workspace_id = $1 and m.message_id = g.message_id
order by m.message_id desc, g.person_id;

-- name: message
-- One message.
select m.message_id, m.kind, coalesce(m.content ->> 'title', m.content ->> 'message', '') as title, m.created_at,
    m.send_at, m.template_id, m.drafted, m.person_id, null as id, null as email, '{}'::jsonb as metrics,
    b.broadcast_id, case when b.planned_at is null then greatest(b.devices, (b.preflight ->> 'devices')::bigint) else b.devices end as devices,
    exists (select from batches q where q.workspace_id = m.workspace_id and q.message_id = m.message_id) as waiting
from messages m left join broadcasts b using (workspace_id, message_id)
where m.workspace_id = $1 and m.message_id = $2;

-- name: bound_of_message
-- The push at an offset after another one of its message.
select device_id from pushes
where workspace_id = $1 and message_day = $2 and message_id = $3 and device_id > $4
order by device_id
offset $5::int - 1 limit 1;

-- name: of_message
-- The pushes of a message after one device and up to another, of those who ended so, with whose they are.
select p.message_id, p.person_id, p.device_id, d.platform, p.ending,
    push_reason(p.ending, p.provider, p.reason) as reason, p.provider, p.provider_status,
    p.provider_reason, p.settled_at,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'email') as email
from pushes p left join devices d using (workspace_id, device_id)
where p.workspace_id = $1 and p.message_day = $2 and p.message_id = $3 and p.device_id > $4
    and ($5::bytea is null or p.device_id <= $5) and ($7::text is null or p.ending = $7)
order by p.device_id
limit $6;
