-- Ownership: the workspace is part of every key and every foreign key of a tenant's tables, so that no row can refer to a
-- row of another workspace, and a join that leaves the workspace out finds no index. (`keys` is the exception: a caller's
-- key is what says which workspace is meant.)
--
-- Primary keys and indexes are rebuilt: some seconds for each million devices and pushes.

-- Foreign keys go first, then the keys that they refer to.
alter table routes drop constraint routes_credential_id_fkey, drop constraint routes_credential_id_leg_key;
alter table route_hours drop constraint route_hours_route_id_fkey;
alter table alerts drop constraint alerts_route_id_fkey;
alter table held_verdicts drop constraint held_verdicts_route_id_fkey, drop constraint held_verdicts_message_id_fkey;
alter table identifiers drop constraint identifiers_person_id_fkey;
alter table devices drop constraint devices_person_id_fkey;
alter table batches drop constraint batches_message_id_fkey;
alter table reports drop constraint reports_message_id_fkey;
alter table segment_members drop constraint segment_members_person_id_fkey, drop constraint segment_members_segment_id_fkey;
alter table merged_people drop constraint merged_people_person_id_fkey;
alter table outbox drop constraint outbox_webhook_id_fkey;
alter table webhook_calls drop constraint webhook_calls_webhook_id_fkey;
alter table message_people drop constraint message_people_message_id_fkey;
alter table broadcasts drop constraint broadcasts_message_id_fkey, drop constraint broadcasts_message_id_key;
alter table export_parts drop constraint export_parts_export_id_fkey;
alter table broadcast_tallies drop constraint broadcast_tallies_message_id_fkey;
alter table broadcast_minutes drop constraint broadcast_minutes_message_id_fkey;

-- Tables that knew their workspace by another table only.
alter table routes            add column workspace_id bigint;
alter table route_hours       add column workspace_id bigint;
alter table alerts            add column workspace_id bigint;
alter table segment_members   add column workspace_id bigint;
alter table outbox            add column workspace_id bigint;
alter table webhook_calls     add column workspace_id bigint;
alter table message_people    add column workspace_id bigint;
alter table export_parts      add column workspace_id bigint;
alter table broadcast_tallies add column workspace_id bigint;
alter table broadcast_minutes add column workspace_id bigint;
update routes r            set workspace_id = c.workspace_id from credentials c where c.credential_id = r.credential_id;
update route_hours h       set workspace_id = r.workspace_id from routes r where r.route_id = h.route_id;
update alerts a            set workspace_id = r.workspace_id from routes r where r.route_id = a.route_id;
update segment_members m   set workspace_id = s.workspace_id from segments s where s.segment_id = m.segment_id;
update outbox o            set workspace_id = w.workspace_id from webhooks w where w.webhook_id = o.webhook_id;
update webhook_calls c     set workspace_id = w.workspace_id from webhooks w where w.webhook_id = c.webhook_id;
update message_people p    set workspace_id = m.workspace_id from messages m where m.message_id = p.message_id;
update export_parts p      set workspace_id = e.workspace_id from exports e where e.export_id = p.export_id;
update broadcast_tallies t set workspace_id = m.workspace_id from messages m where m.message_id = t.message_id;
update broadcast_minutes t set workspace_id = m.workspace_id from messages m where m.message_id = t.message_id;
-- What names nobody of its own workspace belongs to nobody.
delete from segment_members m where not exists (
    select from people p where p.person_id = m.person_id and p.workspace_id = m.workspace_id);
delete from merged_people m where not exists (
    select from people p where p.person_id = m.person_id and p.workspace_id = m.workspace_id);

-- Keys.
alter table credentials drop constraint credentials_pkey, add primary key (workspace_id, credential_id);
alter table routes
    drop constraint routes_pkey,
    add primary key (workspace_id, route_id),
    add unique (workspace_id, credential_id, leg),
    add foreign key (workspace_id, credential_id) references credentials on delete cascade;
alter table route_hours
    drop constraint route_hours_pkey,
    add primary key (workspace_id, route_id, hour),
    add foreign key (workspace_id, route_id) references routes on delete cascade;
alter table alerts
    drop constraint alerts_pkey,
    add primary key (workspace_id, route_id, reason),
    add foreign key (workspace_id, route_id) references routes on delete cascade;

drop index people_of_workspace;
alter table people drop constraint people_pkey, add primary key (workspace_id, person_id);
drop index identifiers_of_person;
create unique index identifiers_of_person on identifiers
    (workspace_id, person_id, kind, (case when kind = 'anonymous_id' then key end)) nulls not distinct;
alter table identifiers add foreign key (workspace_id, person_id) references people on delete cascade;
alter table devices
    drop constraint devices_pkey,
    add primary key (workspace_id, device_id),
    add foreign key (workspace_id, person_id) references people;
drop index merged_into;
alter table merged_people
    drop constraint merged_people_pkey,
    add primary key (workspace_id, former_id),
    add foreign key (workspace_id, person_id) references people on delete cascade;
create index merged_into on merged_people (workspace_id, person_id);
drop index blocked_together;
create index blocked_together on blocked (workspace_id, person);

drop index device_history_to_person, device_history_from_person;
alter table device_history drop constraint device_history_pkey, add primary key (workspace_id, device_id, at, history_id);
create index device_history_to_person on device_history (workspace_id, to_person_id, at) where to_person_id is not null;
create index device_history_from_person on device_history (workspace_id, from_person_id, at)
    where from_person_id is not null and from_person_id is distinct from to_person_id;

drop index events_of_person;
alter table events drop constraint events_pkey, add primary key (workspace_id, received_at, event_id);
create index events_of_person on events (workspace_id, person_id, happened_at) where person_id is not null;

drop index segments_of_workspace, segments_of_person;
alter table segments drop constraint segments_pkey, add primary key (workspace_id, segment_id);
alter table segment_members
    drop constraint segment_members_pkey,
    add primary key (workspace_id, segment_id, person_id),
    add foreign key (workspace_id, segment_id) references segments on delete cascade,
    add foreign key (workspace_id, person_id) references people on delete cascade;
create index segments_of_person on segment_members (workspace_id, person_id);
alter table object_notes drop constraint object_notes_pkey, add primary key (workspace_id, note_id);

drop index messages_of_workspace, messages_of_person, messages_not_retained;
alter table messages drop constraint messages_pkey, add primary key (workspace_id, message_id);
create index messages_of_person on messages (workspace_id, person_id, message_id) where person_id is not null;
create index messages_not_retained on messages (workspace_id, message_id) where not retained and content <> '{}';
alter table message_people
    drop constraint message_people_pkey,
    add primary key (workspace_id, message_id, person_id),
    add foreign key (workspace_id, message_id) references messages on delete cascade;
alter table templates drop constraint templates_pkey, add primary key (workspace_id, template_id);

drop index batches_of_message;
alter table batches
    drop constraint batches_pkey,
    add primary key (workspace_id, batch_id),
    add foreign key (workspace_id, message_id) references messages;
create index batches_of_message on batches (workspace_id, message_id);
drop index pushes_of_person, pushes_not_accepted;
alter table pushes drop constraint pushes_pkey, add primary key (workspace_id, message_id, device_id, message_day);
create index pushes_of_person on pushes (workspace_id, person_id, message_id);
create index pushes_not_accepted on pushes (workspace_id, message_id, ending, device_id) where ending <> 'accepted';
drop index held_verdicts_of_route;
alter table held_verdicts
    drop constraint held_verdicts_pkey,
    add primary key (workspace_id, message_id, device_id),
    add foreign key (workspace_id, message_id) references messages,
    add foreign key (workspace_id, route_id) references routes on delete cascade;
create index held_verdicts_of_route on held_verdicts (workspace_id, route_id, why);
drop index reports_of_person;
alter table reports
    drop constraint reports_pkey,
    add primary key (workspace_id, message_id, person_id, device_id, metric),
    add foreign key (workspace_id, message_id) references messages;
create index reports_of_person on reports (workspace_id, person_id, reported_at);

drop index broadcasts_of_workspace, broadcasts_of_template;
alter table broadcasts
    drop constraint broadcasts_pkey,
    add primary key (workspace_id, broadcast_id),
    add unique (workspace_id, message_id),
    add foreign key (workspace_id, message_id) references messages;
create index broadcasts_of_template on broadcasts (workspace_id, template_id, broadcast_id);
alter table broadcast_tallies
    drop constraint broadcast_tallies_pkey,
    add primary key (workspace_id, message_id, platform, ending, reason, provider_reason, shard),
    add foreign key (workspace_id, message_id) references messages on delete cascade;
alter table broadcast_minutes
    drop constraint broadcast_minutes_pkey,
    add primary key (workspace_id, message_id, minute, ending, shard),
    add foreign key (workspace_id, message_id) references messages on delete cascade;

drop index webhooks_of_workspace, outbox_in_turn;
alter table webhooks drop constraint webhooks_pkey, add primary key (workspace_id, webhook_id);
alter table outbox
    drop constraint outbox_pkey,
    add primary key (workspace_id, webhook_id, outbox_id),
    add foreign key (workspace_id, webhook_id) references webhooks on delete cascade;
alter table webhook_calls
    drop constraint webhook_calls_pkey,
    add primary key (workspace_id, webhook_id, call),
    add foreign key (workspace_id, webhook_id) references webhooks on delete cascade;

drop index exports_of_workspace;
alter table exports drop constraint exports_pkey, add primary key (workspace_id, export_id);
alter table export_parts
    drop constraint export_parts_pkey,
    add primary key (workspace_id, export_id, part),
    add foreign key (workspace_id, export_id) references exports on delete cascade;
drop index undos_of_workspace;
alter table undos drop constraint undos_pkey, add primary key (workspace_id, undo_id);

-- Functions that looked rows up by half of their key.
drop function own_device(bytea, bigint);
create function own_device(workspace_id bigint, key bytea, person_id bigint) returns bytea
    language sql stable parallel safe as $$
    select case when exists (
            select from devices d
            where d.workspace_id = own_device.workspace_id and d.device_id = own_device.key
                and d.person_id = own_device.person_id)
        then key else shared_device(key, person_id) end
$$;

drop function route_name(bigint);
create function route_name(workspace_id bigint, route_id bigint) returns text language sql stable parallel safe as $$
    select concat_ws(':', c.provider, case when c.provider = 'apns' then c.environment end, c.app, nullif(r.leg, ''))
    from routes r join credentials c using (workspace_id, credential_id)
    where r.workspace_id = route_name.workspace_id and r.route_id = route_name.route_id
$$;

create or replace function tell_of_pushes() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks w where w.workspace_id in (select n.workspace_id from new n) and not w.disabled) then
        insert into outbox (workspace_id, webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.workspace_id, w.webhook_id, 'push', m.metric, n.message_id, n.person_id,
            case when m.metric = 'undeliverable' then jsonb_build_object('failure_message', 'the person has no device')
            else jsonb_build_object('recipients', jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'device_id', coalesce(d.token, ''), 'device_platform', d.platform,
                'failure_message', case when m.metric <> 'sent' then
                    nullif(concat_ws(' ', n.reason, n.provider_status, n.provider_reason), '') end)))) end,
            max(n.settled_at)
        from new n
            cross join lateral (
                select push_metric(n.ending, n.reason) as metric
                union all select 'attempted' where n.attempts > 0
            ) m
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'push_' || m.metric = any (w.events)
            left join devices d on d.workspace_id = n.workspace_id and d.device_id = n.device_id
        where n.reason <> 'dry_run'
        group by w.workspace_id, w.webhook_id, m.metric, n.message_id, n.person_id;
    end if;
    return null;
end $$;

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

create or replace function tell_of_reports() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks w where w.workspace_id in (select n.workspace_id from new n) and not w.disabled) then
        insert into outbox (workspace_id, webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.workspace_id, w.webhook_id, 'push', n.metric, n.message_id, n.person_id,
            jsonb_build_object('recipients', jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'device_id', coalesce(d.token, ''), 'device_platform', d.platform))))
                || case when n.metric = 'clicked' then jsonb_build_object('href', coalesce(min(n.href), ''), 'link_id', 0)
                    else '{}' end,
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

create or replace function tell_of_people() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks w where w.workspace_id in (select n.workspace_id from new n) and not w.disabled) then
        insert into outbox (workspace_id, webhook_id, object_type, metric, person_id, data, happened_at)
        select w.workspace_id, w.webhook_id, 'customer', m.metric, n.person_id,
            case m.metric when 'cio_subscription_preferences_changed' then
                jsonb_build_object('content', n.attributes ->> 'cio_subscription_preferences') else '{}' end,
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
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'customer_' || m.metric = any (w.events);
    end if;
    return null;
end $$;

create or replace function tally_pushes() returns trigger language plpgsql as $$
declare
    own constant smallint := pg_backend_pid() % 16;
    today constant date := now() at time zone 'utc';
begin
    with told as materialized (
        select n.workspace_id, n.message_id, coalesce(d.platform, '') as platform,
            seen_step(coalesce(d.last_used, '-infinity'), now()) as seen, n.ending, n.reason,
            case when n.provider_reason is null or n.ending = 'accepted' then '' else left(n.provider_reason, 100) end
                as provider_reason,
            count(*) as pushes
        from new n left join devices d on d.workspace_id = n.workspace_id and d.device_id = n.device_id
        group by 1, 2, 3, 4, 5, 6, 7
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
