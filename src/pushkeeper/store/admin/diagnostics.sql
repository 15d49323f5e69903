-- Checkup: what an examination asks of the database.

-- name: server
-- How the server is set, and how busy it is. The age is that of the oldest transaction but our own, in this database.
select version() as version,
    current_setting('server_version_num')::int as number,
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('autovacuum') as autovacuum,
    current_setting('server_encoding') as encoding,
    current_setting('default_transaction_isolation') as isolation,
    current_setting('max_connections')::int as connections_limit,
    (select count(*) from pg_stat_activity where backend_type = 'client backend') as connections,
    pg_is_in_recovery() as standby,
    pg_database_size(current_database()) as size_bytes,
    coalesce((
        select extract(epoch from max(now() - xact_start)) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()
            and backend_type = 'client backend'), 0)::float8 as oldest_transaction_s;

-- name: clock
-- The database's clock.
select clock_timestamp();

-- name: today
-- The day of the database's clock, in UTC, by which partitions are made.
select (now() at time zone 'utc')::date;

-- name: credentials
-- Every credential with its workspace's name.
-- across workspaces: the installation is examined.
select c.workspace_id, c.credential_id, w.name as workspace from credentials c join workspaces w using (workspace_id)
order by w.name, c.credential_id;

-- name: alerts
-- Alerts on routes in the last day.
-- across workspaces: the installation is examined.
select a.route_id, reason_code(a.reason) as reason, a.alert, a.times from alerts a
where a.last_at > now() - interval '1 day'
order by a.last_at desc;

-- name: webhooks
-- Webhooks that fail or were disabled, with their queues.
-- across workspaces: the installation is examined.
select w.name as workspace, h.webhook_id, h.name, h.disabled, h.failing_since, h.failure,
    (select count(*) from outbox o where o.workspace_id = h.workspace_id and o.webhook_id = h.webhook_id) as waiting
from webhooks h join workspaces w using (workspace_id)
where h.failing_since is not null
order by h.webhook_id;

-- name: little_memory
-- So that what `write` makes does not stay in it.
set local work_mem = '64kB';

-- name: write
-- Whether a write goes through: a megabyte takes new room on the disk, as a temporary file that is gone at once, and a message
-- in the write-ahead log has to be on the disk of this server, and of those that it waits for, before the commit is answered.
-- Rows that are changed would tell neither: they fit into pages that are there. Where nothing may be written, nothing is.
with room as materialized (select repeat(n::text, 300) as filling from generate_series(1000, 1999) n)
select current_setting('transaction_read_only')::bool as read_only, (select count(*) from room) as rows,
    case when not current_setting('transaction_read_only')::bool
        then pg_logical_emit_message(true, 'pushkeeper', 'is this written?')::text end as written;

-- name: connections
-- How many connections users that are no superusers may have open.
select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int;
