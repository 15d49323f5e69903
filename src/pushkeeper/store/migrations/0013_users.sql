-- Users of the dashboard, their sessions and links, what each of them did; and how people and devices stood over time.

-- `key` is the name as it is compared, without case; without a password nobody can log in yet.
create table users (
    user_id       bigint generated always as identity primary key,
    name          text not null check (length(name) between 1 and 200),
    key           text not null unique,
    role          text not null check (role in ('viewer', 'operator', 'admin')),
    password_hash text,
    disabled_at   timestamptz,
    created_at    timestamptz not null default now(),
    seen_at       timestamptz
);

-- What a browser holds is kept nowhere: only its hash is.
create table sessions (
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    user_id    bigint not null references users on delete cascade,
    address    text not null default '',
    created_at timestamptz not null default now(),
    seen_at    timestamptz not null default now()
);
create index sessions_of_user on sessions (user_id);

-- A link that sets a password, once; of nobody, it makes the first admin.
create table user_links (
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    user_id    bigint references users on delete cascade,
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
);

-- The name by its hash alone: people type passwords where names belong.
create table login_failures (
    at        timestamptz not null default now(),
    name_hash bytea not null check (octet_length(name_hash) = 32),
    address   text not null
);
create index login_failures_of_name on login_failures (name_hash, at);
create index login_failures_of_address on login_failures (address, at);

-- What users did. `begun` is what nobody came back to say the end of: it may have happened.
create table audit_log (
    audit_id     bigint generated always as identity primary key,
    at           timestamptz not null default clock_timestamp(),
    user_id      bigint references users,
    user_name    text not null,
    workspace_id bigint,
    workspace    text not null default '',
    action       text not null,
    target       text not null default '',
    outcome      text not null default 'begun' check (outcome in ('begun', 'done', 'refused', 'failed')),
    detail       text not null default '',
    address      text not null default ''
);
create index audit_log_of_workspace on audit_log (workspace_id, audit_id);
create index audit_log_of_user on audit_log (user_id, audit_id);

-- How people and devices stand, counted at `counted_at` in `took_ms`: a million devices are not counted for each look.
-- `asked_at` says that somebody looked when it was old.
create table reach_now (
    workspace_id       bigint primary key references workspaces on delete cascade,
    counted_at         timestamptz not null,
    took_ms            integer not null,
    asked_at           timestamptz,
    people             bigint not null,
    people_with_device bigint not null,
    people_reachable   bigint not null
);
create table device_counts (
    workspace_id bigint not null references workspaces on delete cascade,
    platform     text not null,
    app_version  text not null,
    status       text not null,
    devices      bigint not null,
    primary key (workspace_id, platform, app_version, status)
);

-- The same as it was in an hour: the first count of each, kept for two weeks, and of each day after that.
create table reach_snapshots (
    workspace_id       bigint not null references workspaces on delete cascade,
    at                 timestamptz not null,
    people             bigint not null,
    people_with_device bigint not null,
    people_reachable   bigint not null,
    primary key (workspace_id, at)
);
create table device_snapshots (
    workspace_id bigint not null,
    at           timestamptz not null,
    platform     text not null,
    app_version  text not null,
    status       text not null,
    devices      bigint not null,
    primary key (workspace_id, at, platform, app_version, status),
    foreign key (workspace_id, at) references reach_snapshots on delete cascade
);

-- People are paged through, and counted, within their workspace.
create index people_of_workspace on people (workspace_id, person_id);

-- Only what went wrong or came back: what was accepted for the first time is nine tenths of the history.
create index device_history_turns on device_history (workspace_id, at) include (to_status)
    where event = 'refreshed' and to_status = '' or event like 'refused%' and to_status in ('bounced', 'suppressed');

-- Pushes that went otherwise than most are found without reading the rest of a message that went to a million.
create index pushes_not_accepted on pushes (message_id, ending, device_id) where ending <> 'accepted';
