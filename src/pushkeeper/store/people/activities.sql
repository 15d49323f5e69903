-- Activities: what a person did and what happened to them, from all the places that know of it.

-- name: of_person
-- A page of activities of a person (and of people merged into them), newest first, before a time and id; each source
-- gives no more than the page may hold.
with them as (
    select $1::bigint as workspace_id, $2::bigint as person_id
    union all select workspace_id, former_id from merged_people where workspace_id = $1 and person_id = $2
),
found as (
    (select 'event-' || e.event_id as id, e.kind as type, e.name, e.data, e.happened_at as at,
        null::uuid as message_id, e.person_id
    from events e join them using (workspace_id, person_id)
    where ($5::text is null or e.kind = $5) and ($6::text is null or e.name = $6)
        and (e.happened_at, 'event-' || e.event_id) < ($3, $4)
    order by e.happened_at desc, id desc limit $7)
    union all
    (select 'device-' || h.history_id, 'device_change', h.event,
        jsonb_strip_nulls(jsonb_build_object('from_status', h.from_status, 'to_status', h.to_status,
            'provider', h.provider, 'provider_status', h.provider_status, 'provider_reason', h.provider_reason)),
        h.at, h.message_id, coalesce(h.to_person_id, h.from_person_id)
    from (
        (select h.* from device_history h join them on h.workspace_id = them.workspace_id and h.to_person_id = them.person_id
        where (h.at, 'device-' || h.history_id) < ($3, $4)
        order by h.at desc, 'device-' || h.history_id desc limit $7)
        union all
        -- What left them for somebody else, or for nobody, is found by another index: "or" would keep both from being used.
        (select h.* from device_history h join them on h.workspace_id = them.workspace_id and h.from_person_id = them.person_id
        where (h.at, 'device-' || h.history_id) < ($3, $4)
            and h.from_person_id is not null and h.from_person_id is distinct from h.to_person_id
            and not exists (select from them t where t.person_id = h.to_person_id)
        order by h.at desc, 'device-' || h.history_id desc limit $7)
    ) h
    where ($5::text is null or $5 = 'device_change') and $6::text is null
    order by h.at desc, 1 desc limit $7)
    union all
    (select 'push-' || p.message_id || '-' || encode(p.device_id, 'hex'),
        push_metric(p.ending, p.reason) || '_push',
        null, jsonb_strip_nulls(jsonb_build_object('reason', nullif(push_reason(p.ending, p.provider, p.reason), ''), 'provider', p.provider,
            'provider_status', p.provider_status, 'provider_reason', p.provider_reason)),
        p.settled_at, p.message_id, p.person_id
    from pushes p join them using (workspace_id, person_id)
    where ($5::text is null or $5 = push_metric(p.ending, p.reason) || '_push') and $6::text is null
        and (p.settled_at, 'push-' || p.message_id || '-' || encode(p.device_id, 'hex')) < ($3, $4)
    order by p.settled_at desc, 1 desc limit $7)
    union all
    (select 'report-' || r.message_id || '-' || encode(r.device_id, 'hex') || '-' || r.metric, r.metric || '_push', null,
        jsonb_strip_nulls(jsonb_build_object('href', r.href, 'action', r.action)), r.reported_at, r.message_id, r.person_id
    from reports r join them using (workspace_id, person_id)
    where ($5::text is null or $5 = r.metric || '_push') and $6::text is null
        and (r.reported_at, 'report-' || r.message_id || '-' || encode(r.device_id, 'hex') || '-' || r.metric) < ($3, $4)
    order by r.reported_at desc, 1 desc limit $7)
    union all
    (select 'failed-' || f.failed_id, 'failed_attribute_change', f.name,
        jsonb_build_object(f.name, jsonb_build_object('from', coalesce(f.former, ''), 'to', f.value)),
        f.failed_at, null, f.person_id
    from failed_changes f join them using (workspace_id, person_id)
    where ($5::text is null or $5 = 'failed_attribute_change') and ($6::text is null or f.name = $6)
        and (f.failed_at, 'failed-' || f.failed_id) < ($3, $4)
    order by f.failed_at desc, 1 desc limit $7)
    union all
    select 'person-' || p.person_id, 'profile_create', null, '{}', p.created_at, null, p.person_id
    from people p
    where p.person_id = $2 and p.workspace_id = $1 and ($5::text is null or $5 = 'profile_create') and $6::text is null
        and (p.created_at, 'person-' || p.person_id) < ($3, $4)
)
select id, type, name, data, at, message_id, person_id from found order by at desc, id desc limit $7;

-- name: feed
-- The feed of a workspace from one source (`feed_of_…`): what happened to anybody, newest first in the order in which it was
-- written, before a time and id. Each source reads at most $7 rows; the last of them is returned even if it does not match, to show
-- how far the source was read. `owner_id` is the person as of now, null if they were deleted. "offset 0" makes each person be looked
-- up only once, by key: under row-level security, no condition with a subquery can be an index condition.
select s.* from (
    select s.*, (select p.person_id from people p where p.workspace_id = $1 and p.person_id = s.now_id) as owner_id
    from (
        select s.*, coalesce(
            (select m.person_id from merged_people m where m.workspace_id = $1 and m.former_id = s.person_id),
            s.person_id) as now_id
        from ({source}) s
        order by s.recorded_at desc, s.id desc
        offset 0
    ) s
    order by s.recorded_at desc, s.id desc
    offset 0
) s
where s.place = $7
    or ($4::text is null or s.type = $4) and ($5::text is null or s.name = $5) and ($6::boolean or s.owner_id is not null)
order by s.recorded_at desc, s.id desc
limit $8;

-- name: feed_of_events
-- Events, pages and screens.
select ('event-' || event_id) collate "C" as id, kind as type, name, data, happened_at as at,
    received_at as recorded_at, null::uuid as message_id, person_id,
    row_number() over (order by received_at desc, ('event-' || event_id) collate "C" desc) as place
from events
where workspace_id = $1 and person_id is not null and received_at <= $2 and (received_at, ('event-' || event_id) collate "C") < ($2, $3)
order by received_at desc, ('event-' || event_id) collate "C" desc
limit $7;

-- name: feed_of_devices
-- Changes of devices.
select ('device-' || history_id) collate "C" as id, 'device_change' as type, event as name,
    jsonb_strip_nulls(jsonb_build_object('from_status', from_status, 'to_status', to_status, 'provider', provider,
        'provider_status', provider_status, 'provider_reason', provider_reason)) as data,
    at, at as recorded_at, message_id, coalesce(to_person_id, from_person_id) as person_id,
    row_number() over (order by at desc, ('device-' || history_id) collate "C" desc) as place
from device_history
where workspace_id = $1 and at <= $2 and (at, ('device-' || history_id) collate "C") < ($2, $3)
order by at desc, ('device-' || history_id) collate "C" desc
limit $7;

-- name: feed_of_pushes
-- Outcomes of pushes.
select ('push-' || message_id || '-' || encode(device_id, 'hex')) collate "C" as id, push_metric(ending, reason) || '_push' as type, null as name,
    jsonb_strip_nulls(jsonb_build_object('reason', nullif(push_reason(ending, provider, reason), ''), 'provider', provider,
        'provider_status', provider_status, 'provider_reason', provider_reason)) as data,
    settled_at as at, settled_at as recorded_at, message_id, person_id,
    row_number() over (order by settled_at desc, ('push-' || message_id || '-' || encode(device_id, 'hex')) collate "C" desc) as place
from pushes
where workspace_id = $1 and settled_at <= $2 and (settled_at, ('push-' || message_id || '-' || encode(device_id, 'hex')) collate "C") < ($2, $3)
order by settled_at desc, ('push-' || message_id || '-' || encode(device_id, 'hex')) collate "C" desc
limit $7;

-- name: feed_of_reports
-- Reports of apps about pushes.
select ('report-' || message_id || '-' || encode(device_id, 'hex') || '-' || metric) collate "C" as id, metric || '_push' as type, null as name,
    jsonb_strip_nulls(jsonb_build_object('href', href)) as data, reported_at as at, reported_at as recorded_at,
    message_id, person_id,
    row_number() over (order by reported_at desc, ('report-' || message_id || '-' || encode(device_id, 'hex') || '-' || metric) collate "C" desc) as place
from reports
where workspace_id = $1 and reported_at <= $2 and (reported_at, ('report-' || message_id || '-' || encode(device_id, 'hex') || '-' || metric) collate "C") < ($2, $3)
order by reported_at desc, ('report-' || message_id || '-' || encode(device_id, 'hex') || '-' || metric) collate "C" desc
limit $7;

-- name: feed_of_people
-- New people.
select ('person-' || person_id) collate "C" as id, 'profile_create' as type, null as name, '{}'::jsonb as data, created_at as at,
    created_at as recorded_at, null::uuid as message_id, person_id,
    row_number() over (order by created_at desc, ('person-' || person_id) collate "C" desc) as place
from people
where workspace_id = $1 and created_at <= $2 and (created_at, ('person-' || person_id) collate "C") < ($2, $3)
order by created_at desc, ('person-' || person_id) collate "C" desc
limit $7;

-- name: feed_of_failures
-- Identifiers that were not applied.
select ('failed-' || failed_id) collate "C" as id, 'failed_attribute_change' as type, name,
    jsonb_build_object(name, jsonb_build_object('from', coalesce(former, ''), 'to', value)) as data, failed_at as at,
    failed_at as recorded_at, null::uuid as message_id, person_id,
    row_number() over (order by failed_at desc, ('failed-' || failed_id) collate "C" desc) as place
from failed_changes
where workspace_id = $1 and failed_at <= $2 and (failed_at, ('failed-' || failed_id) collate "C") < ($2, $3)
order by failed_at desc, ('failed-' || failed_id) collate "C" desc
limit $7;
