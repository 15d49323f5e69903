-- Reporting webhooks: what happens is put into the outbox by the very statement that it happens in, and posted from there.

create table webhooks (
    webhook_id      bigint generated always as identity primary key,
    workspace_id    bigint not null references workspaces,
    name            text not null,
    endpoint        text not null,
    events          text[] not null check (cardinality(events) > 0),
    disabled        boolean not null default false,
    full_resolution boolean not null default false,
    with_content    boolean not null default false,
    sealed          bytea not null, -- the key that calls are signed with
    created_at      timestamptz not null default now(),
    due_at          timestamptz not null default now(),
    failures        integer not null default 0,
    failing_since   timestamptz,
    failure         text,
    claimed_until   timestamptz
);
create index webhooks_of_workspace on webhooks (workspace_id);

create table outbox (
    outbox_id   bigint generated always as identity primary key,
    webhook_id  bigint not null references webhooks on delete cascade,
    event_id    uuid not null default gen_random_uuid(),
    object_type text not null check (object_type in ('push', 'customer', 'device')),
    metric      text not null,
    message_id  uuid,
    person_id   bigint,
    data        jsonb not null,
    happened_at timestamptz not null
);
create index outbox_in_turn on outbox (webhook_id, outbox_id);

create function tell_of_pushes() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks where not disabled) then
        insert into outbox (webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.webhook_id, 'push', m.metric, n.message_id, n.person_id,
            jsonb_build_object('recipients', jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'device_id', coalesce(d.token, ''), 'device_platform', d.platform,
                'failure_message', case when m.metric <> 'sent' then
                    nullif(concat_ws(' ', n.reason, n.provider_status, n.provider_reason), '') end)))),
            max(n.settled_at)
        from new n
            cross join lateral (
                select case n.ending when 'accepted' then 'sent' when 'bounced' then 'bounced' when 'skipped' then 'dropped'
                    else 'failed' end as metric
                union all select 'attempted' where n.attempts > 0
            ) m
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'push_' || m.metric = any (w.events)
            left join devices d on d.device_id = n.device_id
        group by w.webhook_id, m.metric, n.message_id, n.person_id;
    end if;
    return null;
end $$;
create trigger tell_of_pushes after insert on pushes
    referencing new table as new for each statement execute function tell_of_pushes();

create function tell_of_reports() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks where not disabled) then
        insert into outbox (webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.webhook_id, 'push', n.metric, n.message_id, n.person_id,
            jsonb_build_object('recipients', jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'device_id', coalesce(d.token, ''), 'device_platform', d.platform))))
                || case when n.metric = 'clicked' then jsonb_build_object('href', coalesce(min(n.href), ''), 'link_id', 0)
                    else '{}' end,
            min(n.reported_at)
        from new n
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'push_' || n.metric = any (w.events)
            left join devices d on d.device_id = n.device_id
        where w.full_resolution or n.metric not in ('opened', 'clicked') or not exists (
            select from reports r where (r.message_id, r.person_id, r.metric) = (n.message_id, n.person_id, n.metric)
                and not exists (select from new o where (o.message_id, o.person_id, o.device_id, o.metric)
                    = (r.message_id, r.person_id, r.device_id, r.metric)))
        group by w.webhook_id, n.metric, n.message_id, n.person_id;
    end if;
    return null;
end $$;
create trigger tell_of_reports after insert on reports
    referencing new table as new for each statement execute function tell_of_reports();

create function tell_of_devices() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks where not disabled) then
        insert into outbox (webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.webhook_id, 'device', m.metric, n.message_id, coalesce(n.to_person_id, n.from_person_id),
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
                    when n.event like 'refused%' and n.to_status <> n.from_status then n.to_status
                    end as metric
            ) m
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'device_' || m.metric = any (w.events)
            left join devices d on d.device_id = n.device_id;
    end if;
    return null;
end $$;
create trigger tell_of_devices after insert on device_history
    referencing new table as new for each statement execute function tell_of_devices();

create function tell_of_people() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks where not disabled) then
        insert into outbox (webhook_id, object_type, metric, person_id, data, happened_at)
        select w.webhook_id, 'customer', m.metric, n.person_id,
            case m.metric when 'cio_subscription_preferences_changed' then
                jsonb_build_object('content', n.attributes ->> 'cio_subscription_preferences') else '{}' end,
            now()
        from new n join old o using (person_id)
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
create trigger tell_of_people after update on people
    referencing old table as old new table as new for each statement execute function tell_of_people();
