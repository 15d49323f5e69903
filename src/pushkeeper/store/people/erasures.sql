-- Erasures: remaining data of deleted people is deleted or anonymised. Each statement takes a page. Rows found by an
-- identifier or a device are older than the erasure: newer ones belong to somebody else.

-- name: begin
-- Start a person's erasure: their identity, and the keys to find them and people merged into them by.
insert into erasures (workspace_id, asked_by, request_id, hashes, nonce, counts, person_ids, surrogates, device_ids,
    anonymous_ids, names)
select $1, $3, $4, $5, $6, jsonb_build_object('people', 1, 'devices', cardinality(d.ids)), p.ids,
    array(select nextval('people_person_id_seq') from unnest(p.ids)), d.ids,
    array(select anonymous_id from anonymous_ids where workspace_id = $1 and person_id = $2),
    (
        select jsonb_agg(n.name)
        from (
            select jsonb_build_object('cio_id', lpad(to_hex(o.id), greatest(12, length(to_hex(o.id))), '0')) as name
            from unnest(p.ids) as o (id)
            union
            select jsonb_build_object(i.kind, v.value)
            from identifiers i cross join lateral (values (i.value), (i.key)) as v (value)
            where i.workspace_id = $1 and i.person_id = $2
        ) n
    )
from (
    select array[$2::bigint] || array(
        select former_id from merged_people where workspace_id = $1 and person_id = $2) as ids
) p,
(select array(select device_id from devices where workspace_id = $1 and person_id = $2) as ids) d
returning erasure_id;

-- name: receipts
-- The receipts of a workspace, or one of them, or those of an identifier by its hash, the newest first.
select erasure_id, asked_by, request_id, asked_at, hashes, counts, done_at, failure
from erasures
where workspace_id = $1 and ($2::bigint is null or erasure_id = $2) and ($3::bytea is null or $3 = any (hashes))
order by erasure_id desc
limit $4;

-- name: workspaces
-- The workspaces in which there is something to erase.
-- across workspaces: workers erase for all.
select distinct workspace_id from erasures where done_at is null and due_at <= now() order by workspace_id;

-- name: claim
-- Erasures whose turn it is, for this worker alone for a while; `alone`: all transactions that began before the request
-- have ended. A restored database renumbers its transactions: after a day none is left anyway.
update erasures x set claimed_until = now() + make_interval(secs => $3), looks = looks + 1
where x.workspace_id = $1 and x.erasure_id = any (array(
    select erasure_id from erasures
    where workspace_id = $1 and done_at is null and due_at <= now()
        and (claimed_until is null or claimed_until < now())
    order by erasure_id
    limit $2
    for update skip locked))
returning x.erasure_id,
    x.asked_in < pg_snapshot_xmin(pg_current_snapshot()) or x.asked_at < now() - interval '1 day' as alone;

-- name: under_way
-- Which of these people may still get new data: a worker sends to them, an export that was asked for before is not
-- written yet, or something waits for a webhook.
with whom as materialized (select * from erasing($1, $2)),
sending as (
    select b.person_id, b.person_ids from batches b
    where b.workspace_id = $1 and b.claim_id is not null and b.lease_until > now()
        and (b.person_id = any (array(select person_id from whom)) or b.person_ids && array(select person_id from whom))
)
select distinct w.erasure_id
from whom w
where exists (select from sending s where s.person_id = w.person_id or w.person_id = any (s.person_ids))
    or exists (select from outbox o where o.workspace_id = $1 and o.person_id = w.person_id)
    or w.asked_at > (select min(e.created_at) from exports e where e.workspace_id = $1 and e.state = 'pending');

-- name: count
-- Add the erased rows of a kind, and renew the claim.
update erasures x set claimed_until = now() + make_interval(secs => $5),
    counts = x.counts || jsonb_build_object($4::text, coalesce((x.counts ->> $4)::bigint, 0) + c.n)
from unnest($2::bigint[], $3::bigint[]) as c (erasure_id, n)
where x.workspace_id = $1 and x.erasure_id = c.erasure_id;

-- name: finish
-- Nothing is left: what it took to find it is forgotten.
update erasures set done_at = now(), claimed_until = null, person_ids = null, surrogates = null, device_ids = null,
    anonymous_ids = null, names = null, nonce = null, asked_in = null, failure = null
where workspace_id = $1 and erasure_id = any ($2::bigint[]) and done_at is null;

-- name: put_off
-- There will be another look, the later the more there were; $3 is why the last one failed.
update erasures set claimed_until = null, failure = $3,
    due_at = now() + make_interval(secs => least(looks, $4))
where workspace_id = $1 and erasure_id = any ($2::bigint[]) and done_at is null;

-- name: batches
-- Queued pushes of these people lose their recipient, and are not sent; claimed ones are left until they are settled.
with whom as materialized (select * from erasing($1, $2)),
page as (
    select b.batch_id, b.person_id, b.person_ids, b.device_ids
    from batches b
    where b.workspace_id = $1 and (b.claim_id is null or b.lease_until < now())
        and (b.person_id = any (array(select person_id from whom)) or b.person_ids && array(select person_id from whom))
    limit $3
    for update skip locked
)
update batches b set claim_id = null, lease_until = null,
    person_id = case when b.person_id is not null then w.surrogate end,
    device_ids = g.device_ids,
    person_ids = g.person_ids
from page p
    left join whom w on w.person_id = p.person_id
    cross join lateral (
        select case when p.person_id is null then array_agg(
                case when v.person_id is null then q.device_id else erased_device(v.nonce, q.device_id, v.surrogate) end
                order by q.place) end as device_ids,
            case when p.person_id is null then array_agg(coalesce(v.surrogate, q.person_id) order by q.place) end
                as person_ids
        from unnest(p.device_ids, p.person_ids) with ordinality as q (device_id, person_id, place)
            left join whom v on v.person_id = q.person_id
    ) g
where b.workspace_id = $1 and b.batch_id = p.batch_id
returning coalesce(w.erasure_id, (select min(v.erasure_id) from whom v where v.person_id = any (p.person_ids)))
    as erasure_id;

-- name: messages
-- Messages to these people alone.
with whom as materialized (select * from erasing($1, $2)),
page as (
    select message_id from messages
    where workspace_id = $1 and person_id = any (array(select person_id from whom))
    limit $3
)
update messages m set content = '{}', wording = null, person_id = w.surrogate
from page p, whom w
where m.workspace_id = $1 and m.message_id = p.message_id and m.person_id = w.person_id
returning w.erasure_id;

-- name: broadcast_people
-- Their entries in recipient lists of broadcasts, with their data.
with whom as materialized (select * from erasing($1, $2)),
page as (
    select p.broadcast_id, p.person_id
    from broadcasts b join broadcast_people p using (workspace_id, broadcast_id)
    where b.workspace_id = $1 and (b.listed or b.file_url is not null)
        and p.person_id = any (array(select person_id from whom))
    limit $3
)
delete from broadcast_people m using page p, whom w
where m.workspace_id = $1 and m.broadcast_id = p.broadcast_id and m.person_id = p.person_id and w.person_id = p.person_id
returning w.erasure_id;

-- name: broadcasts
-- Their devices, where a broadcast goes or went to devices by their keys.
with page as (
    select b.broadcast_id, x.erasure_id, x.device_ids, x.nonce
    from broadcasts b join erasures x using (workspace_id)
    where b.workspace_id = $1 and x.erasure_id = any ($2::bigint[]) and b.device_ids && x.device_ids
        and b.created_at <= x.asked_at
    limit $3
)
update broadcasts b set device_ids = array(
    select case when d = any (p.device_ids) then erased_device(p.nonce, d, 0) else d end
    from unnest(b.device_ids) with ordinality as u (d, place)
    order by u.place)
from page p
where b.workspace_id = $1 and b.broadcast_id = p.broadcast_id
returning p.erasure_id;

-- name: held_verdicts
-- What push services answered of them, and is held.
with whom as materialized (select * from erasing($1, $2)),
page as (
    select message_id, device_id from held_verdicts
    where workspace_id = $1 and person_id = any (array(select person_id from whom))
    limit $3
)
update held_verdicts h set person_id = w.surrogate, device_id = erased_device(w.nonce, h.device_id, w.surrogate),
    detail = null
from page p, whom w
where h.workspace_id = $1 and h.message_id = p.message_id and h.device_id = p.device_id and h.person_id = w.person_id
returning w.erasure_id;

-- name: pushes
-- Outcomes of pushes to them stay counted, without a person.
with whom as materialized (select * from erasing($1, $2)),
page as (
    select message_id, device_id, message_day from pushes
    where workspace_id = $1 and person_id = any (array(select person_id from whom))
    limit $3
)
update pushes x set person_id = w.surrogate, device_id = erased_device(w.nonce, x.device_id, w.surrogate),
    provider_id = null, detail = null
from page p, whom w
where x.workspace_id = $1 and x.message_day = p.message_day and x.message_id = p.message_id
    and x.device_id = p.device_id and x.person_id = w.person_id
returning w.erasure_id;

-- name: reports
-- So are their app's reports of pushes, without the links that they opened and the buttons that they used.
with whom as materialized (select * from erasing($1, $2)),
page as (
    select message_id, person_id, device_id, metric from reports
    where workspace_id = $1 and person_id = any (array(select person_id from whom))
    limit $3
)
update reports r set person_id = w.surrogate, device_id = erased_device(w.nonce, r.device_id, w.surrogate),
    href = null, action = null
from page p, whom w
where r.workspace_id = $1 and r.message_id = p.message_id and r.person_id = p.person_id and r.device_id = p.device_id
    and r.metric = p.metric and r.person_id = w.person_id
returning w.erasure_id;

-- name: device_history
-- The history of devices that ended with them is of devices that nobody has, as far back as it goes.
with whom as materialized (select * from erasing($1, $2)),
ended as (
    select h.device_id, w.erasure_id, w.nonce, max(h.at) as at
    from device_history h join whom w on w.person_id = h.from_person_id
    where h.workspace_id = $1 and h.event = 'deleted' and h.from_person_id = any (array(select person_id from whom))
        and h.from_person_id is not null and h.from_person_id is distinct from h.to_person_id
    group by h.device_id, w.erasure_id, w.nonce
    limit $3
)
update device_history h set device_id = erased_device(e.nonce, h.device_id, 0), request_id = null,
    from_person_id = coalesce((select w.surrogate from whom w where w.person_id = h.from_person_id), h.from_person_id),
    to_person_id = coalesce((select w.surrogate from whom w where w.person_id = h.to_person_id), h.to_person_id)
from ended e
where h.workspace_id = $1 and h.device_id = e.device_id and h.at <= e.at
returning e.erasure_id;

-- name: device_history_of_others
-- Of a device that somebody else has now it says that somebody had it.
with whom as materialized (select * from erasing($1, $2)),
page as (
    (
        select device_id, at, history_id from device_history
        where workspace_id = $1 and to_person_id = any (array(select person_id from whom)) and to_person_id is not null
        limit $3
    )
    union
    (
        select device_id, at, history_id from device_history
        where workspace_id = $1 and from_person_id = any (array(select person_id from whom))
            and from_person_id is not null and from_person_id is distinct from to_person_id
        limit $3
    )
)
update device_history h set
    from_person_id = coalesce(f.surrogate, h.from_person_id),
    to_person_id = coalesce(t.surrogate, h.to_person_id),
    request_id = null
from page p
    join device_history o on o.workspace_id = $1 and o.device_id = p.device_id and o.at = p.at
        and o.history_id = p.history_id
    left join whom f on f.person_id = o.from_person_id
    left join whom t on t.person_id = o.to_person_id
where h.workspace_id = $1 and h.device_id = p.device_id and h.at = p.at and h.history_id = p.history_id
returning coalesce(t.erasure_id, f.erasure_id) as erasure_id;

-- name: events
-- What they did; by which anonymous ids is kept, to find what they did before they were known.
with whom as materialized (select * from erasing($1, $2)),
page as (
    select received_at, event_id from events
    where workspace_id = $1 and person_id = any (array(select person_id from whom)) and person_id is not null
    limit $3
),
gone as (
    delete from events e using page p
    where e.workspace_id = $1 and e.received_at = p.received_at and e.event_id = p.event_id
    returning e.person_id, e.anonymous_id
),
met as (
    select w.erasure_id, array_agg(distinct g.anonymous_id) as anonymous_ids
    from gone g join whom w using (person_id)
    where g.anonymous_id is not null
    group by w.erasure_id
),
noted as (
    update erasures x set anonymous_ids = array(select unnest(x.anonymous_ids) union select unnest(m.anonymous_ids))
    from met m
    where x.workspace_id = $1 and x.erasure_id = m.erasure_id
)
select w.erasure_id from gone join whom w using (person_id);

-- name: anonymous_events
-- What they did before they were known.
with named as (
    select x.erasure_id, a.anonymous_id, x.asked_at
    from erasures x cross join lateral unnest(x.anonymous_ids) as a (anonymous_id)
    where x.workspace_id = $1 and x.erasure_id = any ($2::bigint[])
),
page as (
    select e.received_at, e.event_id from events e join named n using (anonymous_id)
    where e.workspace_id = $1 and e.anonymous_id = any (array(select anonymous_id from named)) and e.person_id is null
        and e.received_at <= n.asked_at
    limit $3
),
gone as (
    delete from events e using page p
    where e.workspace_id = $1 and e.received_at = p.received_at and e.event_id = p.event_id
    returning e.anonymous_id
)
select (select min(n.erasure_id) from named n where n.anonymous_id = g.anonymous_id) as erasure_id from gone g;

-- name: anonymous_devices
-- Devices registered with their anonymous IDs that have no owner yet.
with named as (
    select x.erasure_id, a.anonymous_id, x.asked_at
    from erasures x cross join lateral unnest(x.anonymous_ids) as a (anonymous_id)
    where x.workspace_id = $1 and x.erasure_id = any ($2::bigint[])
),
page as (
    select d.device_id from anonymous_devices d join named n using (anonymous_id)
    where d.workspace_id = $1 and d.anonymous_id = any (array(select anonymous_id from named))
        and d.told_at <= n.asked_at
    limit $3
),
gone as (
    delete from anonymous_devices d using page p
    where d.workspace_id = $1 and d.device_id = p.device_id
    returning d.anonymous_id
)
select (select min(n.erasure_id) from named n where n.anonymous_id = g.anonymous_id) as erasure_id from gone g;

-- name: outbox
-- Their queued webhook events, once webhooks had their time; never those that are being posted right now.
with whom as materialized (select * from erasing($1, $2)),
free as materialized (
    select webhook_id, disabled from webhooks
    where workspace_id = $1 and (claimed_until is null or claimed_until < now())
    order by webhook_id
    for no key update
),
page as (
    select o.webhook_id, o.outbox_id, w.erasure_id
    from outbox o join whom w using (person_id) join free f using (webhook_id)
    where o.workspace_id = $1 and (f.disabled or w.asked_at < now() - make_interval(secs => $4))
    limit $3
)
delete from outbox o using page p
where o.workspace_id = $1 and o.webhook_id = p.webhook_id and o.outbox_id = p.outbox_id
returning p.erasure_id;

-- name: webhook_calls
-- Webhook calls about them.
with whom as materialized (select * from erasing($1, $2)),
page as (
    select webhook_id, call from webhook_calls
    where workspace_id = $1 and person_id = any (array(select person_id from whom))
    limit $3
)
update webhook_calls c set person_id = w.surrogate
from page p, whom w
where c.workspace_id = $1 and c.webhook_id = p.webhook_id and c.call = p.call and c.person_id = w.person_id
returning w.erasure_id;

-- name: notes
-- Notes about their relationships.
with named as (
    select x.erasure_id, x.asked_at, jsonb_build_object('identifiers', n.name) as one
    from erasures x cross join lateral jsonb_array_elements(x.names) as n (name)
    where x.workspace_id = $1 and x.erasure_id = any ($2::bigint[])
),
page as (
    select o.note_id from object_notes o
    where o.workspace_id = $1 and o.said @> any (array(select n.one from named n))
        and coalesce(o.said ->> 'type', '') <> 'object'
        and exists (select from named n where o.said @> n.one and o.at <= n.asked_at)
    limit $3
)
delete from object_notes o using page p
where o.workspace_id = $1 and o.note_id = p.note_id
returning (select min(n.erasure_id) from named n where o.said @> n.one) as erasure_id;

-- name: relationships
-- Notes about objects, without their relationships to these people.
with named as (
    select x.erasure_id, x.asked_at, jsonb_build_object('identifiers', n.name) as one
    from erasures x cross join lateral jsonb_array_elements(x.names) as n (name)
    where x.workspace_id = $1 and x.erasure_id = any ($2::bigint[])
),
page as (
    select o.note_id, o.said from object_notes o
    where o.workspace_id = $1
        and o.said @> any (array(
            select jsonb_build_object('cio_relationships', jsonb_build_array(n.one)) from named n))
        and exists (
            select from named n
            where o.said @> jsonb_build_object('cio_relationships', jsonb_build_array(n.one)) and o.at <= n.asked_at)
    limit $3
)
update object_notes o set said = jsonb_set(p.said, '{cio_relationships}', (
    select coalesce(jsonb_agg(r.said order by r.place), '[]')
    from jsonb_array_elements(p.said -> 'cio_relationships') with ordinality as r (said, place)
    where not exists (select from named n where r.said @> n.one)))
from page p
where o.workspace_id = $1 and o.note_id = p.note_id
returning (
    select min(n.erasure_id) from named n
    where p.said @> jsonb_build_object('cio_relationships', jsonb_build_array(n.one))) as erasure_id;

-- name: unreadable_rows
-- Records of rows that could not be read, by the person's number or the device's key.
with marks as (
    select x.erasure_id, m.mark
    from erasures x cross join lateral (
        select unnest(x.person_ids)::text as mark
        union all
        select encode(unnest(x.device_ids), 'hex')
    ) m
    where x.workspace_id = $1 and x.erasure_id = any ($2::bigint[])
),
page as (
    select distinct on (u.table_name, u.key) u.table_name, u.key, m.erasure_id
    from unreadable_rows u join marks m on m.mark = any (string_to_array(u.key, ' '))
    where u.workspace_id = $1
    order by u.table_name, u.key
    limit $3
)
delete from unreadable_rows u using page p
where u.workspace_id = $1 and u.table_name = p.table_name and u.key = p.key
returning p.erasure_id;

-- name: audit
-- Audit lines that name them or their devices keep a placeholder.
with marks as (
    select x.erasure_id, x.asked_at, m.mark, m.whole
    from erasures x cross join lateral (
        select coalesce(n.name ->> 'cio_id', n.name ->> 'email', n.name ->> 'id') as mark, n.name ? 'id' as whole
        from jsonb_array_elements(x.names) as n (name)
        union all
        select encode(d, 'hex'), false from unnest(x.device_ids) as d
    ) m
    where x.workspace_id = $1 and x.erasure_id = any ($2::bigint[]) and strpos('(erased)', m.mark) = 0
),
page as (
    select distinct on (a.audit_id) a.audit_id, m.erasure_id, m.mark, m.whole
    from audit_log a join marks m
        on case when m.whole then a.target = m.mark else strpos(a.target, m.mark) > 0 or strpos(a.detail, m.mark) > 0 end
    where a.workspace_id = $1 and a.at <= m.asked_at
    order by a.audit_id
    limit $3
)
update audit_log a set target = replace(a.target, p.mark, '(erased)'),
    detail = case when p.whole then a.detail else replace(a.detail, p.mark, '(erased)') end
from page p
where a.workspace_id = $1 and a.audit_id = p.audit_id
returning p.erasure_id;

-- name: names
-- By which cio_ids the people of erasures are written in exports.
select x.erasure_id, n.name ->> 'cio_id' as cio_id
from erasures x cross join lateral jsonb_array_elements(x.names) as n (name)
where x.workspace_id = $1 and x.erasure_id = any ($2::bigint[]) and n.name ? 'cio_id';

-- name: parts
-- The next parts of exports after one of them that hold any of these texts.
select p.export_id, p.part, p.text, e.kind
from export_parts p join exports e using (workspace_id, export_id)
where p.workspace_id = $1 and (p.export_id, p.part) > ($2, $3) and p.text like any ($4::text[])
order by p.export_id, p.part
limit $5
for update of p;

-- name: change_part
-- A part of an export has so many rows less.
with changed as (
    update export_parts set text = $4 where workspace_id = $1 and export_id = $2 and part = $3
    returning workspace_id, export_id
)
update exports e set lines = e.lines - $5
from changed c where e.workspace_id = c.workspace_id and e.export_id = c.export_id;
