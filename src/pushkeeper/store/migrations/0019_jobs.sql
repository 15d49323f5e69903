-- Jobs: what workers do item by item is claimed for a while, counts its attempts in its own row, and waits longer after each.

alter table broadcasts
    add column attempts        integer not null default 0, -- since something of it was last done
    add column next_attempt_at timestamptz not null default now(),
    add column claimed_until   timestamptz,
    add column claim_id        uuid,
    add column last_error      text;
alter table exports
    add column attempts        integer not null default 0,
    add column next_attempt_at timestamptz not null default now(),
    add column claimed_until   timestamptz,
    add column claim_id        uuid,
    add column last_error      text;
alter table webhooks -- whose next attempt is at `due_at`
    add column attempts        integer not null default 0,
    add column claim_id        uuid,
    add column last_error      text;
create index exports_failed on exports (updated_at) where state = 'failed';

-- An export that nobody wants any more.
alter table exports
    drop constraint exports_state_check,
    add check (state in ('pending', 'done', 'failed', 'cancelled'));

-- When each workspace last had its turn, so that the next is somebody else's.
create table job_turns (
    workspace_id bigint not null references workspaces,
    kind         text not null,
    claimed_at   timestamptz not null,
    primary key (workspace_id, kind)
) with (fillfactor = 50);
