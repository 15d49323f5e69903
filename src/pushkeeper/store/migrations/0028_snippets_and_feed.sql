-- Snippets, texts that a workspace's messages share; and what is found of a workspace by the time at which it was written.

create table snippets (
    workspace_id bigint not null references workspaces,
    name         text not null check (length(name) between 1 and 150),
    value        text not null check (length(value) between 1 and 16000),
    updated_at   timestamptz not null default now(),
    primary key (workspace_id, name)
);

create index device_history_feed on device_history (workspace_id, at);
create index pushes_feed on pushes (workspace_id, settled_at);
create index reports_feed on reports (workspace_id, reported_at);
create index people_feed on people (workspace_id, created_at);
