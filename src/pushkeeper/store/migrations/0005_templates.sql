-- Templates, messages that are not the same to everybody, broadcasts that are planned page by page, and exports.

create table templates (
    template_id         bigint generated always as identity primary key,
    workspace_id        bigint not null references workspaces,
    kind                text not null check (kind in ('transactional', 'broadcast')),
    name                text not null check (length(name) between 1 and 255),
    trigger_name        text,
    description         text not null default '',
    content             jsonb not null default '{}',
    translations        jsonb not null default '{}',
    when_undefined      text not null default 'fail' check (when_undefined in ('fail', 'empty')),
    send_to_unsubscribed boolean not null,
    audience            jsonb, -- a broadcast's own, as a filter; null: everybody
    created_at          timestamptz not null default now(),
    updated_at          timestamptz not null default now(),
    check (kind = 'broadcast' or audience is null)
);
create unique index templates_by_trigger on templates (workspace_id, kind, lower(trigger_name));
create index templates_of_workspace on templates (workspace_id, kind, template_id);

-- `wording` is what makes a message another to each person; null: all are told the same. `platforms`: null is all.
alter table messages
    add column template_id bigint,
    add column wording     jsonb,
    add column platforms   text[],
    add column drafted     boolean not null default false,
    add column retained    boolean not null default true;
create index messages_of_workspace on messages (workspace_id, message_id);
create index messages_not_retained on messages (message_id) where not retained and content <> '{}';

-- People who are named for a message, with what is told to them alone.
create table message_people (
    message_id uuid not null references messages on delete cascade,
    person_id  bigint not null,
    data       jsonb,
    primary key (message_id, person_id)
);

-- A message on its way to many. `last_device` and `last_person` are how far its plan has come: it is written together with
-- the batches that it stands for, so that planning can be taken up by anybody.
create table broadcasts (
    broadcast_id bigint generated always as identity primary key,
    workspace_id bigint not null references workspaces,
    message_id   uuid not null unique references messages,
    template_id  bigint,
    state        text not null check (state in ('fetching', 'planning', 'planned', 'failed')),
    audience     jsonb, -- a filter; null: everybody
    listed       boolean not null default false, -- to those in message_people instead
    file_url     text,
    ignore_missing boolean not null default false,
    last_device  bytea not null default '',
    last_person  bigint not null default 0,
    devices      bigint not null default 0,
    failure      text,
    created_at   timestamptz not null default now(),
    planned_at   timestamptz,
    check ((state = 'failed') = (failure is not null)),
    check ((state = 'planned') = (planned_at is not null))
);
create index broadcasts_to_plan on broadcasts (broadcast_id) where state in ('fetching', 'planning');
create index broadcasts_of_template on broadcasts (template_id, broadcast_id);

create table exports (
    export_id    bigint generated always as identity primary key,
    workspace_id bigint not null references workspaces,
    kind         text not null check (kind in ('customers', 'deliveries')),
    asked        jsonb not null,
    state        text not null default 'pending' check (state in ('pending', 'done', 'failed')),
    lines        bigint not null default 0,
    failure      text,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
);
create index exports_of_workspace on exports (workspace_id, export_id);
create index exports_pending on exports (export_id) where state = 'pending';

create table export_parts (
    export_id bigint not null references exports on delete cascade,
    part      integer not null,
    text      text not null,
    primary key (export_id, part)
);

-- A push to nobody is a row too: its device is the person's key, of eight bytes.
create or replace function push_metric(ending text, reason text) returns text language sql immutable parallel safe as $$
    select case
        when ending = 'accepted' then 'sent'
        when ending = 'bounced' then 'bounced'
        when ending = 'skipped' and reason = 'no_device' then 'undeliverable'
        when ending = 'skipped' then 'dropped'
        else 'failed'
    end
$$;

create or replace function tell_of_pushes() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks where not disabled) then
        insert into outbox (webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.webhook_id, 'push', m.metric, n.message_id, n.person_id,
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
            left join devices d on d.device_id = n.device_id
        group by w.webhook_id, m.metric, n.message_id, n.person_id;
    end if;
    return null;
end $$;

create function tell_of_drafts() returns trigger language plpgsql as $$
begin
    if exists (select from new where drafted) then
        insert into outbox (webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.webhook_id, 'push', 'drafted', n.message_id, n.person_id, '{}', n.created_at
        from new n
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'push_drafted' = any (w.events)
        where n.drafted;
    end if;
    return null;
end $$;
create trigger tell_of_drafts after insert on messages
    referencing new table as new for each statement execute function tell_of_drafts();

create index object_notes_said on object_notes using gin (said jsonb_path_ops);
