-- What a workspace has besides people, devices and pushes once somebody works with it, and one of each for the pages.

-- name: broadcasts
-- The messages to all were broadcasts, of which it was foreseen that most would be accepted.
insert into broadcasts (workspace_id, message_id, state, name, devices, created_at, started_at, planned_at, passes,
    preflight)
select workspace_id, message_id, 'planned', 'The news of ' || to_char(created_at, 'DD Month'), 55000, created_at, created_at,
    created_at, jsonb_build_array(jsonb_build_object('at', created_at)),
    '{"at": "2026-01-01T00:00:00Z", "people": 50000, "devices": 55000, "reachable": 49000, "left_out": {"suppressed": 6000},
      "no_content": {}, "suppressed": {"Unregistered": 4000, "UNREGISTERED": 2000},
      "stale": {"30_days": 9000, "90_days": 4000, "270_days": 1000}, "without_permission": 3000, "paused": [],
      "per_s": 900.0, "takes_s": 54.4, "accepted": {"least": 44000, "likely": 48000, "most": 52000}}'
from messages where workspace_id = $1 and kind = 'broadcast'
order by message_id;

-- name: tallies
-- Their outcomes, as they would have been counted while they were sent.
insert into broadcast_tallies (workspace_id, message_id, platform, ending, reason, provider_reason, shard, pushes, last_at)
select workspace_id, message_id, case provider when 'apns' then 'ios' when 'fcm' then 'android' else '' end, ending,
    push_reason(ending, provider, reason),
    coalesce(provider_reason, ''), 0, count(*), max(settled_at)
from pushes where workspace_id = $1
group by 1, 2, 3, 4, 5, 6;

-- name: minutes
-- And when.
insert into broadcast_minutes (workspace_id, message_id, minute, ending, shard, pushes)
select p.workspace_id, p.message_id, date_trunc('minute', p.settled_at), p.ending, 0, count(*)
from pushes p join broadcasts b using (workspace_id, message_id) where p.workspace_id = $1
group by 1, 2, 3, 4;

-- name: templates
-- Templates, half of them to one and half to many.
insert into templates (workspace_id, kind, name, content, send_to_unsubscribed)
select $1, case n % 2 when 0 then 'broadcast' else 'transactional' end, 'Template ' || n,
    '{"title": "Hello {{customer.name}}", "message": "There is news"}', false
from generate_series(1, 40) n;

-- name: webhook
-- A webhook that fails, with its queue and its last calls.
with made as (
    insert into webhooks (workspace_id, name, endpoint, events, sealed, failures, failing_since, failure, due_at, calls)
    values ($1, 'our warehouse', 'https://example.com/hook', '{push_bounced,device_suppressed}', '', 1, now(), 'answered 503',
        now() + interval '1 day', 200)
    returning webhook_id
),
waits as (
    insert into outbox (workspace_id, webhook_id, object_type, metric, person_id, data, happened_at)
    select $1::bigint, m.webhook_id, 'device', 'suppressed', p.person_id, '{}', now()
    from made m, (select person_id from people where workspace_id = $1 limit 20000) p
)
insert into webhook_calls (workspace_id, webhook_id, call, at, event_id, object_type, metric, person_id, attempt, status, failure, took_ms)
select $1::bigint, m.webhook_id, n, now() - make_interval(secs => 200 - n), gen_random_uuid(), 'device', 'suppressed', p.person_id, 1,
    case when n < 200 then 200 else 503 end, case when n = 200 then 'answered 503' end, 40
from made m, generate_series(1, 200) n, (select person_id from people where workspace_id = $1 limit 1) p;

-- name: audit
-- What users did in years.
insert into audit_log (at, user_name, workspace_id, workspace, action, target, outcome, address)
select now() - make_interval(mins => 100000 - n), 'ann@example.com', $1, 'bench', 'route.pause', 'fcm:demo', 'done', '127.0.0.1'
from generate_series(1, 100000) n;

-- name: erasures
-- Receipts of people who were erased.
insert into erasures (workspace_id, asked_by, request_id, hashes, counts, done_at, person_ids, surrogates, device_ids,
    anonymous_ids, names, asked_in)
select $1, 'api', md5(n::text), array[decode(md5(n::text), 'hex')], '{"people": 1, "devices": 2, "events": 40, "pushes": 90}',
    now(), null, null, null, null, null, null
from generate_series(1, 500) n;

-- name: imports
-- Imports that are over.
insert into imports (workspace_id, source, name, options, move, apply, state, bytes, read_bytes, records, counts)
select $1, 'onesignal', 'export-' || n || '.csv.gz', '{}', false, n % 2 = 1, 'done', 1000000, 1000000, 10000,
    '{"rows": 10000, "people": {"new": 8000}, "devices": {"new": 9000}, "skipped": {"invalid_at_source": 1000}}'
from generate_series(1, 500) n;

-- name: ids
-- One of each thing that pages are about: the devices of the lowest ids have all the pushes, so that theirs are long pages.
select w.name as workspace, encode(d.device_id, 'hex') as device, d.person_id, p.message_id, p.message_id::text as message,
    (select max(broadcast_id) from broadcasts b where b.workspace_id = $1)::text as broadcast,
    (select max(segment_id) from segments s where s.workspace_id = $1)::text as audience,
    (select max(template_id) from templates t where t.workspace_id = $1)::text as template,
    (select min(credential_id) from credentials c where c.workspace_id = $1)::text as credential,
    (select max(webhook_id) from webhooks h where h.workspace_id = $1)::text as webhook,
    (select max(erasure_id) from erasures e where e.workspace_id = $1)::text as erasure,
    (select max(import_id) from imports i where i.workspace_id = $1)::text as import,
    (select max(user_id) from users)::text as "user"
from workspaces w
cross join lateral (
    select device_id, person_id from devices
    where workspace_id = $1 and status = 'suppressed' and created_at < now() - interval '2 days'
    order by device_id limit 1) d
cross join lateral (select message_id from pushes p where p.workspace_id = $1 and p.person_id = d.person_id order by message_day limit 1) p
where w.workspace_id = $1;
