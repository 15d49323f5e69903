-- Messages, and the batches that they are cut into.

-- name: insert
-- New messages; their time is that of their UUIDv7.
insert into messages (message_id, workspace_id, kind, person_id, content, send_to_unsubscribed, created_at, send_at,
    expires_at, template_id, wording, platforms, drafted, retained)
select message_id, workspace_id, kind, person_id, content, to_all, created_at, send_at, expires_at, template_id,
    nullif(wording, 'null'), string_to_array(platforms, ','), drafted, retained
from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::jsonb[], $6::boolean[], $7::timestamptz[],
    $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::jsonb[], $12::text[], $13::boolean[], $14::boolean[])
    as m (message_id, workspace_id, kind, person_id, content, to_all, created_at, send_at, expires_at, template_id,
        wording, platforms, drafted, retained);

-- name: queue_for_person
-- One batch for each person, whose devices are picked when it is claimed; a draft's is parked.
insert into batches (workspace_id, message_id, due_at, parked, person_id, pick)
select * from unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::boolean[], $5::bigint[], $6::text[]);

-- name: queue_for_device
-- One batch for each device, planned for the person who has it now; a draft's is parked.
insert into batches (workspace_id, message_id, due_at, parked, device_ids, person_ids)
select workspace_id, message_id, due_at, parked, array[device_id], array[person_id]
from unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::boolean[], $5::bytea[], $6::bigint[])
    as q (workspace_id, message_id, due_at, parked, device_id, person_id);

-- name: count_malformed
-- Providers called messages malformed, at so many more devices; at three a message stops. Those that do come back.
update messages m set
    malformed = m.malformed + g.devices,
    stopped_at = case when m.malformed + g.devices >= 3 then coalesce(m.stopped_at, now()) end,
    stop_reason = case when m.malformed + g.devices >= 3 then coalesce(m.stop_reason, g.reason) end
from (
    select * from unnest($1::bigint[], $2::uuid[], $3::int[], $4::text[]) as g (workspace_id, message_id, devices, reason)
    order by workspace_id, message_id
) g
where m.workspace_id = g.workspace_id and m.message_id = g.message_id
returning m.message_id, m.stop_reason, m.malformed - g.devices < 3 and m.malformed >= 3 as stopped;

-- name: delivery
-- A message for one person.
select m.message_id, m.kind, m.content, m.created_at, m.send_at, m.template_id, m.drafted,
    m.retained and m.wording is null as is_text_retained,
    (select broadcast_id from broadcasts b where b.workspace_id = $1 and b.message_id = m.message_id) as broadcast_id,
    exists (select from batches b where b.workspace_id = $1 and b.message_id = m.message_id
            and (b.person_id = $3 or $3 = any (b.person_ids)))
        or exists (select from held_verdicts h
            where h.workspace_id = $1 and h.message_id = m.message_id and h.person_id = $3) as waiting,
    coalesce(
        (select r.pause_reason from batches b join routes r on r.workspace_id = b.workspace_id and r.route_id = b.lane
            where b.workspace_id = $1 and b.message_id = m.message_id and r.paused_at is not null
            and (b.person_id = $3 or $3 = any (b.person_ids)) limit 1),
        (select concat_ws(' ', h.why, h.provider_status, h.provider_reason) from held_verdicts h
            where h.workspace_id = $1 and h.message_id = m.message_id and h.person_id = $3 limit 1)) as held_reason
from messages m
where m.workspace_id = $1 and m.message_id = $2 and (m.person_id is null or m.person_id = $3);

-- name: pushes
-- The outcome of a message at each device of one person.
select p.device_id, d.token, d.platform, p.ending, push_reason(p.ending, p.provider, p.reason) as reason, p.provider, p.provider_status, p.provider_reason, p.detail,
    p.attempts, p.settled_at
from pushes p left join devices d using (workspace_id, device_id, person_id)
where p.workspace_id = $1 and p.message_day = $2 and p.message_id = $3 and p.person_id = $4
order by p.settled_at, p.device_id;

-- name: of_person
-- The messages for a person and for those who were merged into them, before this one and in this time, the newest first.
with them as (
    select $1::bigint as workspace_id, $2::bigint as person_id
    union all select workspace_id, former_id from merged_people where workspace_id = $1 and person_id = $2
),
either as (
    select m.message_id, m.person_id from messages m join them using (workspace_id, person_id)
    where m.message_id < $3 and m.created_at >= $4 and m.created_at < $5
    union
    select p.message_id, p.person_id from pushes p join them using (workspace_id, person_id)
    where p.message_id < $3
        and p.message_day >= ($4 at time zone 'utc')::date and p.message_day <= ($5 at time zone 'utc')::date
)
select message_id, person_id from either order by message_id desc, person_id limit $6;

-- name: answers
-- Outcomes of the last days: responses of the push services, and skipped pushes.
select provider, provider_status, provider_reason, ending, push_reason(ending, provider, reason) as reason,
    count(*) as pushes
from pushes
where workspace_id = $1 and message_day >= (now() at time zone 'utc')::date - $2::int
group by 1, 2, 3, 4, 5
order by pushes desc;

-- name: of_workspace
-- The deliveries of a workspace after one of them, the newest message first: those of a message for many are found by the
-- first device of each person. Optionally only those of a template, of some messages, of a metric, or drafts.
select m.message_id, d.person_id, d.device_id
from messages m cross join lateral (
    select x.person_id, x.device_id from (
        select m.person_id, ''::bytea as device_id where m.kind = 'transactional'
        union all
        select p.person_id, p.device_id from pushes p
        where m.kind = 'broadcast' and p.workspace_id = m.workspace_id
            and p.message_day = (m.created_at at time zone 'utc')::date and p.message_id = m.message_id
            and not exists (
                select from pushes q
                where q.workspace_id = p.workspace_id and q.person_id = p.person_id and q.message_id = p.message_id
                    and q.message_day = p.message_day and q.device_id < p.device_id)
    ) x
    where (m.message_id < $2 or x.device_id > $3)
        and case
            when $6::text is null or $6 = 'created' then true
            when $6 = 'drafted' then m.drafted
            when $6 in ('delivered', 'opened', 'clicked', 'converted') then exists (
                select from reports r
                where r.workspace_id = m.workspace_id and r.message_id = m.message_id and r.person_id = x.person_id
                    and r.metric = $6)
            else exists (
                select from pushes p
                where p.workspace_id = m.workspace_id and p.person_id = x.person_id and p.message_id = m.message_id
                    and p.message_day = (m.created_at at time zone 'utc')::date
                    and (push_metric(p.ending, p.reason) = $6 or $6 = 'attempted' and p.attempts > 0))
            end
    order by x.device_id
    limit $9
) d
where m.workspace_id = $1 and m.message_id <= $2 and m.created_at >= $4 and m.created_at < $5
    and ($7::bigint is null or m.template_id = $7) and (not $8::boolean or m.drafted)
    and ($10::uuid[] is null or m.message_id = any ($10))
order by m.message_id desc, d.device_id
limit $9;

-- name: release_draft
-- A draft is due now, with as long to live as any message.
with released as (
    update messages set send_at = now(), expires_at = now() + $3::interval
    where workspace_id = $1 and message_id = $2 and drafted
    returning workspace_id, message_id
)
update batches b set due_at = now(), parked = false from released r
where b.workspace_id = r.workspace_id and b.message_id = r.message_id and b.parked
returning b.message_id;

-- name: drop_draft
-- A draft is not sent.
delete from batches b using messages m
where b.workspace_id = $1 and m.workspace_id = $1 and m.message_id = b.message_id and m.message_id = $2
    and m.drafted and b.parked
returning b.message_id;

-- name: forget_contents
-- What messages said that are not to be retained, once they are over.
-- across workspaces: it is tidied for all.
update messages m set content = '{}', wording = null
where not m.retained and m.content <> '{}'
    and not exists (select from batches b where b.workspace_id = m.workspace_id and b.message_id = m.message_id)
    and not exists (
        select from held_verdicts h where h.workspace_id = m.workspace_id and h.message_id = m.message_id);
