-- Snippets: texts that a workspace's messages share.

create table snippets (
    workspace_id bigint not null references workspaces,
    name         text not null check (length(name) between 1 and 150),
    value        text not null check (length(value) between 1 and 16000),
    updated_at   timestamptz not null default now(),
    primary key (workspace_id, name)
);
