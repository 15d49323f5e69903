-- What webhooks are told is what Customer.io's schemas say, and what an app says of a click is kept.

-- Which of a push's buttons somebody used.
alter table reports add column action text;

-- Of an export of people: which attributes are to have a column each; null for all of them in one.
alter table exports add column attributes text[];

-- By the name that Customer.io's API has for it.
update webhooks
set events = array_replace(events, 'customer_cio_subscription_preferences_changed', 'customer_subscription_preferences_changed')
where 'customer_cio_subscription_preferences_changed' = any (events);

-- Why a push failed: the push service's status, reason and sentence, or else our code. A body that is no sentence (JSON,
-- HTML) is left out.
create function failure_text(reason text, provider_status smallint, provider_reason text, detail text) returns text
    language sql immutable parallel safe as $$
    select concat_ws(': ', coalesce(nullif(concat_ws(' ', provider_status, nullif(provider_reason, '')), ''), reason),
        case when detail !~ '^\s*[{<]' then nullif(detail, '') end)
$$;

-- No push that ends is `attempted`: that is an attempt which failed and will be made again, of which the worker tells.
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
