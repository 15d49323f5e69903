-- Reason codes: why a push ended as it did is a stable code (`apns_bad_device_token`), no longer the number of a row of the
-- decision table (`P5`).

-- The code of what is stored as a reason: a number of a row that an earlier release wrote becomes its code, and of
-- `malformed: ...` only the code is left.
create function reason_code(stored text) returns text language sql immutable parallel safe as $$
    select coalesce('{
        "F1": "fcm_accepted", "F2": "dry_run_accepted", "F3": "fcm_response_without_name",
        "F4": "fcm_unregistered", "F5": "fcm_project_not_found", "F6": "fcm_invalid_argument_token",
        "F7": "fcm_apns_unregistered", "F8": "fcm_apns_error", "F9": "fcm_invalid_argument_message",
        "F10": "fcm_invalid_argument", "F11": "fcm_unauthenticated", "F12": "fcm_third_party_auth_error",
        "F13": "fcm_sender_id_mismatch", "F14": "fcm_permission_denied", "F15": "fcm_payload_too_large",
        "F16": "fcm_quota_exceeded_device", "F17": "fcm_quota_exceeded_project", "F18": "fcm_internal",
        "F19": "fcm_bad_gateway", "F20": "fcm_unavailable", "F21": "fcm_unrecognized_response",
        "F22": "fcm_oauth_refused", "F23": "fcm_oauth_unavailable", "P1": "apns_accepted",
        "P2": "apns_unregistered", "P3": "apns_unregistered_stale", "P4": "apns_unregistered_unclear",
        "P5": "apns_bad_device_token", "P6": "apns_device_token_not_for_topic", "P7": "apns_topic_refused",
        "P8": "apns_invalid_message", "P9": "apns_invalid_request", "P10": "apns_payload_too_large",
        "P11": "apns_idle_timeout", "P12": "apns_expired_provider_token", "P13": "apns_invalid_credentials",
        "P14": "apns_unrelated_key_id_in_token", "P15": "apns_forbidden", "P16": "apns_too_many_requests",
        "P17": "apns_too_many_provider_token_updates", "P18": "apns_internal_server_error",
        "P19": "apns_service_unavailable", "P20": "apns_shutdown", "P21": "apns_unrecognized_response",
        "N1": "connection_failed", "N2": "server_certificate_untrusted", "N3": "client_certificate_refused",
        "N4": "stream_refused", "N5": "stream_not_finished", "N6": "no_response", "N7": "no_stream_available"
    }'::jsonb ->> stored, split_part(stored, ':', 1))
$$;

-- The reason code of a push. That of an accepted one follows from its provider and is not stored, as nearly all pushes are
-- accepted: it would be 16 bytes of each. Of earlier pushes it is mapped here, where they are read: to rewrite them would take
-- hours, and they go with their days.
create function push_reason(ending text, provider text, reason text) returns text language sql immutable parallel safe as $$
    select case when ending = 'accepted' then coalesce(provider || '_accepted', '') else reason_code(reason) end
$$;

-- As before, with a reason code where there is no answer of the push service.
create or replace function failure_text(reason text, provider_status smallint, provider_reason text, detail text) returns text
    language sql immutable parallel safe as $$
    select concat_ws(': ',
        coalesce(nullif(concat_ws(' ', provider_status, nullif(provider_reason, '')), ''), reason_code(reason)),
        case when detail !~ '^\s*[{<]' then nullif(detail, '') end)
$$;

-- As before, counting by reason codes; a worker of the previous release may still write rows.
create or replace function tally_pushes() returns trigger language plpgsql as $$
declare
    own constant smallint := pg_backend_pid() % 16;
    today constant date := now() at time zone 'utc';
begin
    with told as materialized (
        select n.workspace_id, n.message_id, coalesce(d.platform, '') as platform,
            seen_step(coalesce(d.last_used, '-infinity'), now()) as seen, n.ending,
            push_reason(n.ending, n.provider, n.reason) as reason,
            case when n.provider_reason is null or n.ending = 'accepted' then '' else left(n.provider_reason, 100) end
                as provider_reason,
            count(*) as pushes
        from new n left join devices d on d.workspace_id = n.workspace_id and d.device_id = n.device_id
        group by 1, 2, 3, 4, 5, n.provider, n.reason, 7
    ),
    days as (
        insert into push_days (workspace_id, day, platform, seen, ending, reason, provider_reason, shard, pushes)
        select workspace_id, today, platform, seen, ending, reason, provider_reason, own, sum(pushes)
        from told
        group by 1, 3, 4, 5, 6, 7
        order by 1, 2, 3, 4, 5, 6, 7
        on conflict (workspace_id, day, platform, seen, ending, reason, provider_reason, shard)
            do update set pushes = push_days.pushes + excluded.pushes
    ),
    broadcast as materialized (
        select t.* from told t join broadcasts b using (workspace_id, message_id)
    ),
    minutes as (
        insert into broadcast_minutes (workspace_id, message_id, minute, ending, shard, pushes)
        select workspace_id, message_id, date_trunc('minute', now()), ending, own, sum(pushes)
        from broadcast
        group by 1, 2, 4
        order by 1, 2, 4
        on conflict (workspace_id, message_id, minute, ending, shard)
            do update set pushes = broadcast_minutes.pushes + excluded.pushes
    )
    insert into broadcast_tallies
        (workspace_id, message_id, platform, ending, reason, provider_reason, shard, pushes, last_at)
    select workspace_id, message_id, platform, ending, reason, provider_reason, own, sum(pushes), now()
    from broadcast
    group by 1, 2, 3, 4, 5, 6
    order by 1, 2, 3, 4, 5, 6
    on conflict (workspace_id, message_id, platform, ending, reason, provider_reason, shard) do update set
        pushes = broadcast_tallies.pushes + excluded.pushes,
        last_at = greatest(broadcast_tallies.last_at, excluded.last_at);

    if exists (select from new where ending = 'bounced') then
        insert into bounce_days (workspace_id, day, platform, app, app_version, route, provider, provider_reason, shard,
            pushes)
        select n.workspace_id, today, d.platform, left(d.app, 100),
            left(coalesce(d.attributes ->> 'app_version', ''), 40), coalesce(t.name, ''), coalesce(n.provider, ''),
            left(coalesce(n.provider_reason, ''), 100), own, count(*)
        from new n
        join devices d using (workspace_id, device_id)
        left join (
            select workspace_id, route_id, route_name(workspace_id, route_id) as name
            from (select distinct workspace_id, route_id from new where ending = 'bounced') o
        ) t using (workspace_id, route_id)
        where n.ending = 'bounced'
        group by 1, 3, 4, 5, 6, 7, 8
        order by 1, 3, 4, 5, 6, 7, 8
        on conflict (workspace_id, day, platform, app, app_version, route, provider, provider_reason, shard)
            do update set pushes = bounce_days.pushes + excluded.pushes;
    end if;
    return null;
end $$;

update held_verdicts set reason = reason_code(reason) where reason <> reason_code(reason);
update alerts set reason = reason_code(reason) where reason <> reason_code(reason);

-- Several reasons may become one.
with former as (
    delete from push_days where reason <> reason_code(reason)
    returning workspace_id, day, platform, seen, ending, reason_code(reason) as reason, provider_reason, shard, pushes
)
insert into push_days (workspace_id, day, platform, seen, ending, reason, provider_reason, shard, pushes)
select workspace_id, day, platform, seen, ending, reason, provider_reason, shard, sum(pushes)
from former
group by 1, 2, 3, 4, 5, 6, 7, 8
on conflict (workspace_id, day, platform, seen, ending, reason, provider_reason, shard)
    do update set pushes = push_days.pushes + excluded.pushes;

with former as (
    delete from broadcast_tallies where reason <> reason_code(reason)
    returning workspace_id, message_id, platform, ending, reason_code(reason) as reason, provider_reason, shard, pushes, last_at
)
insert into broadcast_tallies
    (workspace_id, message_id, platform, ending, reason, provider_reason, shard, pushes, last_at)
select workspace_id, message_id, platform, ending, reason, provider_reason, shard, sum(pushes), max(last_at)
from former
group by 1, 2, 3, 4, 5, 6, 7
on conflict (workspace_id, message_id, platform, ending, reason, provider_reason, shard) do update set
    pushes = broadcast_tallies.pushes + excluded.pushes,
    last_at = greatest(broadcast_tallies.last_at, excluded.last_at);

-- Counters of workers: the label of a series.
update worker_figures f
set series = replace(f.series, '"' || l.reason || '"],', '"' || reason_code(l.reason) || '"],')
from (select series, series::jsonb #>> '{1,2}' as reason from worker_figures where series like '["pushkeeper_pushes_settled",%') l
where f.series = l.series and l.reason <> reason_code(l.reason);

-- What waits for webhooks: an earlier release began these texts with the number of the row.
update outbox
set data = regexp_replace(data::text, '("failure_message": ")[FPN][0-9]{1,2} ', '\1', 'g')::jsonb
where object_type = 'push' and metric <> 'sent' and data::text ~ '"failure_message": "[FPN][0-9]{1,2} ';

-- Who is left out of a message and why: one rule for all statements, equal to `core/delivery/eligibility.py`. All of it is put into the
-- statement that asks, so that what a message does not ask for is not looked at.

-- Whether an app told that it may show no pushes.
create function push_is_disabled(attributes jsonb) returns boolean language sql immutable parallel safe as $$
    select lower(attributes ->> 'push_enabled') = 'false' is true
$$;

-- Devices of a person that are the same phone as one of theirs, under a later token.
create function later_tokens(workspace_id bigint, person_id bigint, platform text, phone text, last_used timestamptz, device_id bytea)
    returns setof bytea language sql stable parallel safe as $$
    select o.device_id
    from devices o
    where o.workspace_id = later_tokens.workspace_id and o.person_id = later_tokens.person_id
        and o.platform = later_tokens.platform and phone_of(o.attributes) = later_tokens.phone and o.status <> 'suppressed'
        and (o.last_used, o.device_id) > (later_tokens.last_used, later_tokens.device_id)
$$;

-- The first reason not to send a message to a device that is there, as far as the database knows: what its content says to
-- the device's platform is for whoever reads that. `is_theirs`: the device is still the person's whom it was planned for.
create function skip_reason(is_theirs boolean, status text, unsubscribed boolean, person jsonb, device jsonb, same_phone boolean,
    platform text, send_to_unsubscribed boolean, skip_without_permission boolean, one_per_phone boolean, platforms text[])
    returns text language sql immutable parallel safe as $$
    select case
        when not is_theirs then 'moved'
        when status = 'suppressed' then 'suppressed'
        when unsubscribed and not send_to_unsubscribed then 'unsubscribed'
        when not send_to_unsubscribed and push_is_off(person) then 'channel_off'
        when skip_without_permission and push_is_disabled(device) then 'no_permission'
        when one_per_phone and same_phone then 'same_phone'
        when platform <> all (platforms) then 'other_platform'
    end
$$;
