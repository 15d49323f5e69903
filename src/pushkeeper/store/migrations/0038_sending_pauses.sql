-- Sending pauses: workspaces of which nobody sends anything, and why. A row is a pause; resuming deletes it.

create table sending_pauses (
    workspace_id bigint primary key references workspaces,
    paused_at    timestamptz not null default now(),
    reason       text not null,
    actor        text not null,
    actor_name   text not null
);
