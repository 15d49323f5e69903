-- What Customer.io's clients tell beside people and devices: events, reports of pushes, who may not come back, segments.

-- What people did. Of an anonymous id that nobody has yet, the person is null until somebody identifies by it.
create table events (
    received_at  timestamptz not null default now(),
    event_id     bigint generated always as identity,
    workspace_id bigint not null,
    person_id    bigint,
    anonymous_id text,
    kind         text not null check (kind in ('event', 'page', 'screen')),
    name         text not null,
    data         jsonb not null default '{}',
    happened_at  timestamptz not null,
    primary key (received_at, event_id)
) partition by range (received_at);
create index events_of_person on events (person_id, happened_at) where person_id is not null;
create index events_of_anonymous on events (workspace_id, anonymous_id) where person_id is null;

-- Calls that may be sent again and count once (Customer.io's event ids, messageId of SDKs), for a day.
create table seen_once (
    workspace_id bigint not null,
    once         bytea not null check (octet_length(once) = 16),
    seen_at      timestamptz not null default now(),
    primary key (workspace_id, once)
);
create index seen_once_by_age on seen_once (seen_at);

-- Devices that were told of before anybody was: never sent to, and given to whoever identifies by their anonymous id.
create table anonymous_devices (
    workspace_id bigint not null,
    device_id    bytea not null check (octet_length(device_id) = 16),
    anonymous_id text not null,
    registration jsonb not null,
    told_at      timestamptz not null default now(),
    primary key (workspace_id, device_id)
);
create index anonymous_devices_of on anonymous_devices (workspace_id, anonymous_id);
create index anonymous_devices_by_age on anonymous_devices (told_at);

-- Identifiers of people who were suppressed: nobody gets them until that is taken back, for all of one person's together.
create table blocked (
    workspace_id bigint not null,
    kind         text not null,
    key          text not null,
    person       uuid not null,
    blocked_at   timestamptz not null default now(),
    primary key (workspace_id, kind, key)
);
create index blocked_together on blocked (person);

-- What the app told of a push, once for each device and metric; '' where it named no device.
create table reports (
    message_id   uuid not null references messages,
    person_id    bigint not null,
    device_id    bytea not null default '',
    metric       text not null check (metric in ('delivered', 'opened', 'clicked', 'converted')),
    workspace_id bigint not null,
    reported_at  timestamptz not null,
    href         text,
    primary key (message_id, person_id, device_id, metric)
);

create table segments (
    segment_id   bigint generated always as identity primary key,
    workspace_id bigint not null references workspaces,
    name         text not null,
    description  text not null default '',
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
);
create index segments_of_workspace on segments (workspace_id);

create table segment_members (
    segment_id bigint not null references segments on delete cascade,
    person_id  bigint not null references people on delete cascade,
    primary key (segment_id, person_id)
);
create index segments_of_person on segment_members (person_id);

-- What was said of objects and of people's relationships to them: kept as it was said.
create table object_notes (
    note_id      bigint generated always as identity primary key,
    workspace_id bigint not null,
    said         jsonb not null,
    at           timestamptz not null default now()
);

-- Of a merged person the deliveries keep their ids, which hold the former key.
create table merged_people (
    workspace_id bigint not null,
    former_id    bigint not null,
    person_id    bigint not null references people on delete cascade,
    merged_at    timestamptz not null default now(),
    primary key (former_id)
);
create index merged_into on merged_people (person_id);

-- A person's own messages, the newest first.
create index messages_of_person on messages (person_id, message_id) where person_id is not null;

-- What happened to a person's devices, and what they told of their pushes.
create index device_history_to_person on device_history (to_person_id, at) where to_person_id is not null;
create index device_history_from_person on device_history (from_person_id, at)
    where from_person_id is not null and from_person_id is distinct from to_person_id;
create index reports_of_person on reports (person_id, reported_at);
