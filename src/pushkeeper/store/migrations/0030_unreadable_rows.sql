-- Rows that could not be read: what reads many at once leaves them out, and says so here.

create table unreadable_rows (
    workspace_id bigint not null references workspaces,
    table_name   text not null,
    key          text not null, -- the value of the row's own key
    reason       text not null,
    first_at     timestamptz not null default now(),
    last_at      timestamptz not null default now(),
    primary key (workspace_id, table_name, key)
) with (fillfactor = 50);
