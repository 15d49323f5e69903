-- Imports: files that bring people and devices. Their parts and the keys that were seen in them go when the import ends.

create table imports (
    import_id       bigint generated always as identity,
    workspace_id    bigint not null references workspaces,
    source          text not null,
    name            text not null,
    options         jsonb not null,
    mapping         text,
    move            boolean not null,
    apply           boolean not null,
    state           text not null default 'uploading'
                        check (state in ('uploading', 'pending', 'done', 'failed', 'cancelled')),
    bytes           bigint not null default 0,
    records         bigint not null default 0, -- of the file that are done
    read_bytes      bigint not null default 0, -- of the file, up to there
    counts          jsonb not null default '{}',
    checked         bigint not null default 0, -- of its devices that were compared after all were written
    failure         text,
    attempts        integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    claimed_until   timestamptz,
    claim_id        uuid,
    last_error      text,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    primary key (workspace_id, import_id),
    check (state <> 'failed' or failure is not null)
);
create index imports_pending on imports (workspace_id, import_id) where state = 'pending';

create table import_parts (
    workspace_id bigint not null,
    import_id    bigint not null,
    part         integer not null,
    content      bytea not null,
    primary key (workspace_id, import_id, part),
    foreign key (workspace_id, import_id) references imports on delete cascade
);

-- What a file has named so far, by a hash of it: what comes again is not counted again. To look each up in `imports` would
-- take as long as all else.
create table import_keys (
    workspace_id bigint not null,
    import_id    bigint not null,
    key          bytea not null,
    primary key (workspace_id, import_id, key)
);

alter table device_history
    drop constraint device_history_event_check,
    add constraint device_history_event_check check (event in
        ('registered', 'refreshed', 'moved', 'accepted', 'refused', 'refused_as_stale', 'deleted', 'undone', 'merged',
         'imported'));
