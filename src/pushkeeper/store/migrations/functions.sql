-- The current text of every function of the schema, as the last migration that changed it has it. It is applied again after new
-- migrations. Who changes a function writes a migration and changes it here: tests/store/test_migrate.py compares the two.

set local check_function_bodies = off; -- each may call those below it

-- After pushes are written: an event for each webhook that subscribes to what they came to. `attempted` is none of these: that is
-- an attempt which failed and will be made again, of which the worker tells.
create or replace function tell_of_pushes() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks w where w.workspace_id in (select n.workspace_id from new n) and not w.disabled) then
        insert into outbox (workspace_id, webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.workspace_id, w.webhook_id, 'push', m.metric, n.message_id, n.person_id,
            case when m.metric = 'undeliverable' then '{}' else jsonb_build_object('recipients',
                coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                    'device_id', coalesce(d.token, ''), 'device_platform', d.platform,
                    'failure_message', case when m.metric <> 'sent' then f.text end)))
                    -- Of a refusal or a skip the platform is told too, which nobody knows of a device that is gone.
                    filter (where m.metric = 'sent' or d.token is not null), '[]')) end
                || case when m.metric = 'sent' then '{}' else jsonb_build_object('failure_message',
                    left(string_agg(distinct case when m.metric = 'undeliverable' then 'the person has no device'
                        else f.text end, '; '), 1000)) end,
            max(n.settled_at)
        from new n
            cross join lateral (select push_metric(n.ending, n.reason) as metric) m
            cross join lateral (
                select failure_text(n.reason, n.provider_status, n.provider_reason, n.detail) as text
            ) f
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'push_' || m.metric = any (w.events)
            left join devices d on d.workspace_id = n.workspace_id and d.device_id = n.device_id
        where n.reason <> 'dry_run'
        group by w.workspace_id, w.webhook_id, m.metric, n.message_id, n.person_id;
    end if;
    return null;
end $$;

-- After reports of apps are written: an event for each webhook, for opens and clicks only the first of a device unless it wants all.
create or replace function tell_of_reports() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks w where w.workspace_id in (select n.workspace_id from new n) and not w.disabled) then
        insert into outbox (workspace_id, webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.workspace_id, w.webhook_id, 'push', n.metric, n.message_id, n.person_id,
            jsonb_build_object('recipients', jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'device_id', coalesce(d.token, ''), 'device_platform', d.platform))))
                || case when n.metric = 'clicked' then jsonb_build_object('href', coalesce(min(n.href), '')) else '{}' end
                || jsonb_strip_nulls(jsonb_build_object('action', min(n.action))),
            min(n.reported_at)
        from new n
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'push_' || n.metric = any (w.events)
            left join devices d on d.workspace_id = n.workspace_id and d.device_id = n.device_id
        where w.full_resolution or n.metric not in ('opened', 'clicked') or not exists (
            select from reports r
            where (r.workspace_id, r.message_id, r.person_id, r.metric)
                = (n.workspace_id, n.message_id, n.person_id, n.metric)
                and not exists (
                    select from new o
                    where (o.workspace_id, o.message_id, o.person_id, o.device_id, o.metric)
                        = (r.workspace_id, r.message_id, r.person_id, r.device_id, r.metric)))
        group by w.workspace_id, w.webhook_id, n.metric, n.message_id, n.person_id;
    end if;
    return null;
end $$;

-- After reports of apps are written: counted by broadcast and platform, in the same transaction. A report without a device
-- and one with a device of the same person are one. Each connection adds to rows of its own (`shard`).
create or replace function tally_reports() returns trigger language plpgsql as $$
begin
    insert into broadcast_engagement (workspace_id, message_id, platform, metric, shard, devices)
    select n.workspace_id, n.message_id, coalesce(d.platform, ''), n.metric, (pg_backend_pid() % 16)::smallint, count(*)
    from new n
        join broadcasts b on b.workspace_id = n.workspace_id and b.message_id = n.message_id
        left join devices d on d.workspace_id = n.workspace_id and d.device_id = n.device_id
    where not exists (
        select from reports r
        where (r.workspace_id, r.message_id, r.person_id, r.metric)
                = (n.workspace_id, n.message_id, n.person_id, n.metric)
            and r.device_id <> n.device_id
            and (n.device_id = '' or r.device_id = '' and not exists (
                select from new o
                where (o.workspace_id, o.message_id, o.person_id, o.metric, o.device_id)
                    = (r.workspace_id, r.message_id, r.person_id, r.metric, r.device_id))))
    group by 1, 2, 3, 4
    order by 1, 2, 3, 4
    on conflict (workspace_id, message_id, platform, metric, shard)
        do update set devices = broadcast_engagement.devices + excluded.devices;
    return null;
end $$;

-- After a line of the history of devices is written: an event for each webhook that subscribes to what the device became.
create or replace function tell_of_devices() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks w where w.workspace_id in (select n.workspace_id from new n) and not w.disabled) then
        insert into outbox (workspace_id, webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.workspace_id, w.webhook_id, 'device', m.metric, n.message_id, coalesce(n.to_person_id, n.from_person_id),
            jsonb_strip_nulls(jsonb_build_object('device_id', coalesce(d.token, ''), 'device_platform', d.platform,
                'from_status', n.from_status, 'to_status', n.to_status, 'provider', n.provider,
                'provider_status', n.provider_status, 'provider_reason', n.provider_reason)),
            n.at
        from new n
            cross join lateral (
                select case
                    when n.event = 'registered' then 'registered'
                    when n.event = 'moved' then 'moved'
                    when n.event = 'deleted' then 'deleted'
                    when n.event = 'refreshed' and n.to_status = '' then 'revived'
                    when n.event = 'undone' and n.to_status in ('', 'sent') then 'revived'
                    when n.event in ('refused', 'refused_as_stale', 'undone') and n.to_status <> n.from_status
                        then n.to_status
                    end as metric
            ) m
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'device_' || m.metric = any (w.events)
            left join devices d on d.workspace_id = n.workspace_id and d.device_id = n.device_id;
    end if;
    return null;
end $$;

-- After people are changed: an event for each webhook that subscribes to subscriptions and preferences.
create or replace function tell_of_people() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks w where w.workspace_id in (select n.workspace_id from new n) and not w.disabled) then
        insert into outbox (workspace_id, webhook_id, object_type, metric, person_id, data, happened_at)
        select w.workspace_id, w.webhook_id, 'customer', m.metric, n.person_id,
            case when m.metric = 'cio_subscription_preferences_changed' and w.with_content then
                jsonb_build_object('content', coalesce(n.attributes ->> 'cio_subscription_preferences', '{}')) else '{}' end,
            now()
        from new n join old o using (workspace_id, person_id)
            cross join lateral (
                select case when n.unsubscribed then 'unsubscribed' else 'subscribed' end as metric
                where n.unsubscribed <> o.unsubscribed
                union all
                select 'cio_subscription_preferences_changed'
                where n.attributes -> 'cio_subscription_preferences'
                    is distinct from o.attributes -> 'cio_subscription_preferences'
            ) m
            -- Customer.io's name of this event has no `cio_`, though the metric in its body has.
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled
                and 'customer_' || replace(m.metric, 'cio_', '') = any (w.events);
    end if;
    return null;
end $$;

-- What a push that ended is called in webhooks, metrics of messages and activities.
create or replace function push_metric(ending text, reason text) returns text language sql immutable parallel safe as $$
    select case
        when ending = 'accepted' then 'sent'
        when ending = 'bounced' then 'bounced'
        when ending = 'skipped' and reason = 'no_device' then 'undeliverable'
        when ending = 'skipped' then 'dropped'
        else 'failed'
    end
$$;

-- After messages are written: an event for each webhook that subscribes to drafts.
create or replace function tell_of_drafts() returns trigger language plpgsql as $$
begin
    if exists (select from new where drafted) then
        insert into outbox (workspace_id, webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.workspace_id, w.webhook_id, 'push', 'drafted', n.message_id, n.person_id, '{}', n.created_at
        from new n
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'push_drafted' = any (w.events)
        where n.drafted;
    end if;
    return null;
end $$;

-- The key of the device of a token.
create or replace function token_device(workspace_id bigint, token text) returns bytea
    language sql immutable parallel safe
    as $$ select substr(sha256(int8send(workspace_id) || convert_to(token, 'UTF8')), 1, 16) $$;

-- The key of a device whose token several people share: one for each of them.
create or replace function shared_device(device_id bytea, person_id bigint) returns bytea
    language sql immutable parallel safe as $$ select substr(sha256(device_id || int8send(person_id)), 1, 16) $$;

-- What a value of JSON stands for when it is compared; core/filters/values.py says the same.
create or replace function json_number(given jsonb) returns numeric language sql immutable parallel safe as $$
    select case jsonb_typeof(given)
        when 'number' then given::numeric
        when 'string' then case when given #>> '{}' ~ '^-?(0|[1-9][0-9]{0,14})([.][0-9]{1,15})?$'
            then (given #>> '{}')::numeric end
    end
$$;

-- The version at the start of a text, or that a number spells.
create or replace function json_version(given jsonb) returns bigint[] language plpgsql immutable parallel safe as $$
declare
    said text := case jsonb_typeof(given)
        when 'number' then trim_scale(given::numeric)::text
        when 'string' then given #>> '{}'
    end;
    parts text[];
begin
    said := substring(said from '^v?([0-9.]+)');
    if said is null or said ~ '^[.]|[.]$|[.][.]|[0-9]{10}' then
        return null;
    end if;
    parts := string_to_array(said, '.');
    return case when cardinality(parts) <= 6 then parts::bigint[] end;
end $$;

-- Immutable, as a text that names no time zone is one of UTC.
create or replace function json_seconds(given jsonb) returns numeric language plpgsql immutable parallel safe as $$
declare
    said text := given #>> '{}';
    found numeric;
begin
    if jsonb_typeof(given) = 'number' then
        found := said::numeric;
    elsif jsonb_typeof(given) <> 'string' then
        return null;
    elsif said ~ '^[0-9]{1,12}$' then
        found := said::numeric;
    elsif said ~ ('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?'
        '(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])?)?$') and said >= '0001' then
        said := said || case
            when length(said) = 10 then 'T00:00:00Z'
            when substr(said, 11) ~ '(Z|[+-][0-9]{2}:?[0-9]{2})$' then ''
            else 'Z'
        end;
        -- Only a day that its month does not have can be wrong now; PostgreSQL 15 cannot be asked without an error.
        if substr(said, 9, 2)::int <= extract(day from (substr(said, 1, 8) || '01')::date + interval '1 month - 1 day') then
            found := extract(epoch from said::timestamptz);
        end if;
    end if;
    return case when found between 0 and 253402300799 then found end;
end
$$;

-- Whether a person wants no pushes at all (customer.io's `channels.push`), which may have been told as an object or as text.
create or replace function push_is_off(attributes jsonb) returns boolean language sql immutable parallel safe as $$
    select case jsonb_typeof(attributes -> 'cio_subscription_preferences')
        when 'object' then attributes #> '{cio_subscription_preferences,channels,push}' = 'false'
        when 'string' then attributes ->> 'cio_subscription_preferences'
            ~ '"channels"\s*:\s*\{[^{}]*"push"\s*:\s*false\s*[,}]'
        else false
    end is true
$$;

-- Which devices of a person are the same phone, where that is known: by an id that the app gives it, or else by its model.
create or replace function phone_of(attributes jsonb) returns text language sql immutable parallel safe as $$
    select coalesce('id ' || (attributes ->> 'phone_id'), 'model ' || (attributes ->> 'device_model'))
$$;

-- How long ago a device was used, in the steps by which acceptance is foreseen. Stable, as what it is made of, so that
-- it is put into the query that asks.
create or replace function seen_step(last_used timestamptz, at timestamptz) returns smallint language sql stable parallel safe as $$
    select (case
        when last_used > at - interval '24 hours' then 0
        when last_used > at - interval '168 hours' then 1
        when last_used > at - interval '720 hours' then 2
        when last_used > at - interval '2160 hours' then 3
        when last_used > at - interval '6480 hours' then 4
        else 5
    end)::smallint
$$;

-- After pushes are written: counted by day, by broadcast and minute, and refusals by route, in the same transaction. Each
-- connection adds to rows of its own (`shard`), so that workers do not wait for each other.
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

-- The version that an attribute is. One of three parts or more is no number, and in thirteen characters none of its parts
-- has more than nine digits.
create or replace function attribute_version(attributes jsonb, name text) returns bigint[] language sql immutable parallel safe as $$
    select case
        when length(attributes ->> name) < 14 and (attributes ->> name) ~ '^[0-9]+[.][0-9]+[.][0-9]+([.][0-9]+)*$'
            then string_to_array(attributes ->> name, '.')::bigint[]
        else json_version(attributes -> name)
    end
$$;

-- The key of a person's device among those who share its token.
create or replace function own_device(workspace_id bigint, key bytea, person_id bigint) returns bytea
    language sql stable parallel safe as $$
    select case when exists (
            select from devices d
            where d.workspace_id = own_device.workspace_id and d.device_id = own_device.key
                and d.person_id = own_device.person_id)
        then key else shared_device(key, person_id) end
$$;

-- A route by its name, as `Route.name` has it.
create or replace function route_name(workspace_id bigint, route_id bigint) returns text language sql stable parallel safe as $$
    select concat_ws(':', c.provider, case when c.provider = 'apns' then c.environment end, c.app, nullif(r.leg, ''))
    from routes r join credentials c using (workspace_id, credential_id)
    where r.workspace_id = route_name.workspace_id and r.route_id = route_name.route_id
$$;

-- The people of erasures that are under way, each with what stands for them.
create or replace function erasing(workspace_id bigint, erasure_ids bigint[])
    returns table (erasure_id bigint, person_id bigint, surrogate bigint, nonce bytea, asked_at timestamptz)
    language sql stable parallel safe as $$
    select x.erasure_id, w.person_id, w.surrogate, x.nonce, x.asked_at
    from erasures x cross join lateral unnest(x.person_ids, x.surrogates) as w (person_id, surrogate)
    where x.workspace_id = erasing.workspace_id and x.erasure_id = any (erasing.erasure_ids) and x.done_at is null
$$;

-- What stands for the key of a device: the same wherever it stands. That of no device is the person's, of eight bytes.
create or replace function erased_device(nonce bytea, device_id bytea, surrogate bigint) returns bytea
    language sql immutable parallel safe as $$
    select case octet_length(device_id)
        when 16 then substr(sha256(nonce || device_id), 1, 16)
        when 8 then int8send(surrogate)
        else ''::bytea
    end
$$;

-- Rows whose times cannot be read back, and what says of the past that it is still to come.
create or replace function mend_times() returns void language plpgsql as $$
declare
    earliest constant timestamptz := '1970-01-01 00:00:00+00';
    too_late constant timestamptz := '2200-01-01 00:00:00+00';
    now_s constant numeric := floor(extract(epoch from now()));
begin
    update events set happened_at = received_at where happened_at < earliest or happened_at >= too_late;

    update reports r set reported_at = coalesce(
        (select m.created_at from messages m where m.workspace_id = r.workspace_id and m.message_id = r.message_id), now())
    where reported_at < earliest or reported_at > now();

    update outbox set happened_at = now() where happened_at < earliest or happened_at > now();

    update devices set last_used = registered_at where last_used < earliest or last_used > now();

    update anonymous_devices set registration = jsonb_set(registration, '{last_used}', to_jsonb(told_at))
    where (registration ->> 'last_used')::timestamptz not between earliest and now();

    update people p set changed_at = (
        select jsonb_object_agg(key, case
            when value < to_jsonb(0) then to_jsonb(floor(extract(epoch from p.created_at)))
            when value > to_jsonb(now_s) then to_jsonb(now_s)
            else value end)
        from jsonb_each(p.changed_at))
    where jsonb_path_exists(changed_at, '$.* ? (@ < 0 || @ > $now)', jsonb_build_object('now', now_s));
end $$;

-- Bound every column of times that is not yet, by one constraint for each table, in words that the planner has not to look up
-- for each insert. The rows of a large table are looked at later, by `migrate`, beside whoever reads and writes.
create or replace function bound_times() returns void language plpgsql as $$
declare
    found record;
begin
    for found in
        select c.oid::regclass as name, quote_ident(c.relname || '_times') as constraint_name,
            coalesce((select sum(pg_relation_size(relid)) from pg_partition_tree(c.oid)), pg_relation_size(c.oid)) as bytes,
            string_agg(
                -- -infinity takes up a slot of its broadcast's rate as soon as there is one.
                case a.attname when 'slot_at' then '(slot_at = ''-infinity'' or ' else '(' end || format(
                    '%1$I >= ''1970-01-01 00:00:00+00'' and %1$I < ''2200-01-01 00:00:00+00'')', a.attname),
                ' and ' order by a.attnum) as bounds
        from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.atttypid = 'timestamptz'::regtype and a.attnum > 0 and not a.attisdropped
            left join pg_constraint b on b.conrelid = c.oid and b.conname = c.relname || '_times'
        where c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('workspaces'))
            and c.relkind in ('r', 'p') and not c.relispartition
        group by c.oid
        having not bool_and(coalesce(a.attnum = any (b.conkey), false))
        order by c.relname
    loop
        execute format('alter table %s drop constraint if exists %s', found.name, found.constraint_name);
        execute format('alter table %s add constraint %s check (%s) %s', found.name, found.constraint_name, found.bounds,
            case when found.bytes > 100 * 1024 * 1024 then 'not valid' else '' end);
    end loop;
end $$;

-- The same as `canonical` of core/tokens.py. What most tokens are is found out at their first characters: it is asked at
-- every registration, by an index.
create or replace function canonical_token(token text) returns text language sql immutable parallel safe as $$
    select case
        when token collate "C" ~ '^[0-9a-f]+$' then token
        when token collate "C" !~ '[^0-9A-Fa-f \t\n\v\f\r<>-]'
            and length(translate(token, E' \t\n\x0b\f\r<>-', '')) >= 64
            and length(translate(token, E' \t\n\x0b\f\r<>-', '')) % 2 = 0
            then lower(translate(token, E' \t\n\x0b\f\r<>-', '') collate "C")
        else btrim(token, E' \t\n\x0b\f\r')
    end
$$;

-- Whether a change comes too late, by when the attribute was last set or removed; both in unix seconds. A time without a
-- fraction may be any of its second, so that such a change is not late within it.
create or replace function is_late(at jsonb, former jsonb) returns boolean language sql immutable parallel safe as $$
    select at::numeric < former::numeric and at::numeric <> trunc(former::numeric)
$$;

-- An entry of somebody's subscription preferences, by its dotted name.
create or replace function preference(attributes jsonb, name text) returns jsonb language sql immutable parallel safe as $$
    select attributes -> 'cio_subscription_preferences' -> split_part(name, '.', 2)
        -> substr(name, length('cio_subscription_preferences..') + length(split_part(name, '.', 2)) + 1)
$$;

-- Preferences with these entries, by their dotted names, set; null removes one.
create or replace function with_preferences(present jsonb, entries jsonb) returns jsonb language sql immutable parallel safe as $$
    select jsonb_strip_nulls(p.present || jsonb_object_agg(g.name,
        case jsonb_typeof(p.present -> g.name) when 'object' then p.present -> g.name else '{}' end || g.entries))
    from (select case jsonb_typeof(present) when 'object' then present else '{}' end as present) p,
        (
            select split_part(e.key, '.', 2) as name, jsonb_object_agg(
                substr(e.key, length('cio_subscription_preferences..') + length(split_part(e.key, '.', 2)) + 1), e.value)
                as entries
            from jsonb_each(entries) e
            group by 1
        ) g
    group by p.present
$$;

-- Attributes with entries of preferences set, and the times of both. Of the times of a change, those of what came too late
-- are left out already, save those of entries that are older than the whole. Where the whole is set, later entries stay.
create or replace function merged_preferences(had jsonb, had_at jsonb, attributes jsonb, times jsonb, entries jsonb)
    returns jsonb[] language sql immutable parallel safe as $$
    with entry as (
        select e.key, e.value, times -> e.key as at, false as replaced
        from jsonb_each(entries) e
        where times ? e.key and is_late(times -> e.key, had_at -> 'cio_subscription_preferences') is not true
        union all
        select t.key, coalesce(preference(had, t.key), 'null'), null, not is_late(times -> 'cio_subscription_preferences', t.value)
        from jsonb_each(case when times ? 'cio_subscription_preferences' then had_at else '{}' end) t
        where t.key ~ '^cio_subscription_preferences[.][^.]+[.].'
    ),
    found as (
        select coalesce(jsonb_object_agg(key, value) filter (where not replaced), '{}') as kept,
            coalesce(jsonb_object_agg(key, at) filter (where at is not null), '{}') as kept_at,
            coalesce(array_agg(key) filter (where replaced), '{}') as gone
        from entry
    )
    select array[
        case when f.kept = '{}' then attributes else attributes || jsonb_build_object('cio_subscription_preferences',
            with_preferences(attributes -> 'cio_subscription_preferences', f.kept)) end,
        (had_at - f.gone) || (times - array(select jsonb_object_keys(entries))) || f.kept_at]
    from found f
$$;

-- Of which push service the token of an iPhone can be, or the endpoint of a browser is; the same as `token_shape` of core/model.py.
create or replace function token_shape(platform text, token text) returns text language sql immutable parallel safe as $$
    select case
        when platform = 'web' then case
            when token ~ '^https://fcm\.googleapis\.com/' then 'google'
            when token ~ '^https://[a-z0-9.-]+\.push\.services\.mozilla\.com/' then 'mozilla'
            when token ~ '^https://[a-z0-9.-]+\.push\.apple\.com/' then 'apple'
            when token ~ '^https://[a-z0-9.-]+\.notify\.windows\.com/' then 'microsoft'
            else 'other' end
        when platform <> 'ios' then ''
        when token ~ '^[0-9A-Fa-f]+$' then 'apns'
        when position(':' in token) > 0 or token ~ '^[A-Za-z0-9_-]{22}$' then 'fcm'
        else ''
    end
$$;

-- Why a push failed: the push service's status, reason and sentence, or else our reason code. A body that is no sentence (JSON,
-- HTML) is left out.
create or replace function failure_text(reason text, provider_status smallint, provider_reason text, detail text) returns text
    language sql immutable parallel safe as $$
    select concat_ws(': ',
        coalesce(nullif(concat_ws(' ', provider_status, nullif(provider_reason, '')), ''), reason_code(reason)),
        case when detail !~ '^\s*[{<]' then nullif(detail, '') end)
$$;

-- The code of what is stored as a reason: a number of a row that an earlier release wrote becomes its code, and of
-- `malformed: ...` only the code is left.
create or replace function reason_code(stored text) returns text language sql immutable parallel safe as $$
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
create or replace function push_reason(ending text, provider text, reason text) returns text language sql immutable parallel safe as $$
    select case when ending = 'accepted' then coalesce(provider || '_accepted', '') else reason_code(reason) end
$$;

-- Whether an app told that it may show no pushes.
create or replace function push_is_disabled(attributes jsonb) returns boolean language sql immutable parallel safe as $$
    select lower(attributes ->> 'push_enabled') = 'false' is true
$$;

-- Devices of a person that are the same phone as one of theirs, under a later token.
create or replace function later_tokens(workspace_id bigint, person_id bigint, platform text, phone text, last_used timestamptz, device_id bytea)
    returns setof bytea language sql stable parallel safe as $$
    select o.device_id
    from devices o
    where o.workspace_id = later_tokens.workspace_id and o.person_id = later_tokens.person_id
        and o.platform = later_tokens.platform and phone_of(o.attributes) = later_tokens.phone and o.status <> 'suppressed'
        and (o.last_used, o.device_id) > (later_tokens.last_used, later_tokens.device_id)
$$;

-- The first reason not to send a message to a device that is there, as far as the database knows: what its content says to
-- the device's platform is for whoever reads that. `is_theirs`: the device is still the person's whom it was planned for.
create or replace function skip_reason(is_theirs boolean, status text, unsubscribed boolean, person jsonb, device jsonb, same_phone boolean,
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

-- The message of a broadcast stays its message.
create or replace function keep_message_id() returns trigger language plpgsql as $$
begin
    raise exception 'the message of broadcast % keeps its id', old.broadcast_id using errcode = 'integrity_constraint_violation';
end $$;

-- The id of the VAPID key that a browser subscribes with now: that of its app's credentials, or of the only ones that there are.
create or replace function current_vapid_key(workspace_id bigint, app text) returns text language sql stable parallel safe as $$
    select min(c.facts ->> 'key_id')
    from credentials c
    where c.workspace_id = current_vapid_key.workspace_id and c.provider = 'webpush' and current_vapid_key.app in ('', c.app)
    having count(*) = 1
$$;
