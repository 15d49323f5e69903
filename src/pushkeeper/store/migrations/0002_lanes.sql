-- Lanes: what a route lets through, and what waits for it; suppression options; messages that stop.

-- What a workspace may choose of the status table (core/delivery/device_status.py), and how fast each of its routes may go.
alter table workspaces
    add column suppress_after         smallint not null default 2 check (suppress_after between 1 and 100),
    add column min_strike_gap_s       integer not null default 0 check (min_strike_gap_s between 0 and 31536000),
    add column suppress_on_definitive boolean not null default false,
    add column delete_unregistered    boolean not null default false,
    add column max_pushes_per_s       integer check (max_pushes_per_s between 1 and 1000000),
    add column ramp_s                 integer not null default 60 check (ramp_s between 0 and 3600);

-- When the last strike counted; strikes that come sooner than the workspace's gap do not.
alter table devices add column struck_at timestamptz;

-- A paused route says who paused it; `probe_at` is when a worker asks the provider whether it is well again, and null
-- when only people can know. A throttled one rests, and goes on from `slowed_to_per_s`.
alter table routes
    add column pause_kind      text check (pause_kind in ('operator', 'credentials', 'untrusted', 'guard')),
    add column probe_at        timestamptz,
    add column believed_until  timestamptz, -- its refusals, as an operator said
    add column throttled_until timestamptz,
    add column slowed_to_per_s real check (slowed_to_per_s > 0);
update routes set pause_kind = 'credentials' where paused_at is not null;
alter table routes
    add check ((paused_at is null) = (pause_kind is null)),
    add check (probe_at is null or paused_at is not null),
    add check ((throttled_until is null) = (slowed_to_per_s is null));

-- What came of a route's pushes, by the hour: what is usual for it, against which a wave of refusals is measured.
create table route_hours (
    route_id  bigint not null references routes on delete cascade,
    hour      timestamptz not null,
    accepted  bigint not null default 0,
    ambiguous bigint not null default 0,
    definite  bigint not null default 0,
    other     bigint not null default 0,
    primary key (route_id, hour)
) with (fillfactor = 50);

-- A batch waits in the lane of its route: while that is paused or full, nobody claims it. 0 is "not known yet".
drop index batches_in_turn;
drop index batches_held;
alter table batches add column lane bigint not null default 0;
update batches set lane = held_route_id where held_route_id is not null;
alter table batches drop column held_route_id, drop column held_reason;
create index batches_in_turn on batches (workspace_id, priority, lane, due_at);

-- Refusals that may be a setting's fault: kept until the route proves itself, or an operator says whose fault it was.
create table held_verdicts (
    message_id       uuid not null references messages,
    device_id        bytea not null,
    workspace_id     bigint not null,
    route_id         bigint not null references routes on delete cascade,
    person_id        bigint not null,
    generation       integer not null,
    why              text not null check (why in ('unproven', 'guard')),
    priority         smallint not null,
    attempt          smallint not null,
    first_attempt_at timestamptz not null,
    reason           text not null,
    provider         text not null,
    provider_status  smallint,
    provider_reason  text not null,
    detail           text,
    held_at          timestamptz not null default now(),
    primary key (message_id, device_id)
);
create index held_verdicts_of_route on held_verdicts (route_id, why);

-- A message that the providers call malformed at three devices is not sent to the rest.
alter table messages
    add column malformed   integer not null default 0,
    add column stopped_at  timestamptz,
    add column stop_reason text,
    add check ((stopped_at is null) = (stop_reason is null));

-- What somebody should look at: once for each row of the decision table on a route.
create table alerts (
    route_id bigint not null references routes on delete cascade,
    reason   text not null,
    alert    text not null,
    detail   text not null default '',
    times    bigint not null default 1,
    first_at timestamptz not null default now(),
    last_at  timestamptz not null default now(),
    primary key (route_id, reason)
);

-- Who works on this database now: each takes its share of what a route may send in a second.
create table workers (
    worker_id  uuid primary key,
    host       text not null,
    pid        integer not null,
    started_at timestamptz not null default now(),
    seen_at    timestamptz not null default now()
);

-- One index on the history instead of two: it is only ever read by device.
alter table device_history drop constraint device_history_pkey;
drop index device_history_of_device;
alter table device_history add primary key (device_id, at, history_id);
