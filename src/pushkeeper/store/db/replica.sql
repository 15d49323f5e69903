-- A read replica: whose standby it is, and how much of what its primary wrote it has.

-- name: primary
-- Which cluster, database and schema it is, the primary's timeline, and up to where (in bytes of its write-ahead log) what it has
-- acknowledged reaches. There is no row where it is no primary now.
select s.system_identifier, d.oid::int8 as database, to_regclass('workspaces')::oid::int8 as workspaces,
    ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int as timeline,
    f.flushed, f.flushed % current_setting('wal_block_size')::int = 0 as ends_a_page
from pg_control_system() s join pg_database d on d.datname = current_database()
cross join lateral (select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::int8 as flushed) f
where not pg_is_in_recovery();

-- name: complete
-- A commit, which puts all records on the disk that were written so far.
select pg_logical_emit_message(true, 'pushkeeper', '')::text;

-- name: standby
-- The same of a standby, with up to where it has replayed, and how long ago what it replayed last was committed. Which timeline
-- its receiver follows is visible to members of pg_read_all_stats only; the files show it some minutes after it has
-- changed.
select s.system_identifier, d.oid::int8 as database, to_regclass('workspaces')::oid::int8 as workspaces,
    pg_is_in_recovery() as standby,
    greatest((select received_tli from pg_stat_wal_receiver), c.timeline_id, r.min_recovery_end_timeline) as timeline,
    coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::int8, 0) as replayed,
    coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8, 0) as age_s
from pg_control_system() s join pg_database d on d.datname = current_database(),
    pg_control_checkpoint() c, pg_control_recovery() r;

-- name: settings
-- How it is set, for an examination.
select split_part(version(), ' on ', 1) as version, clock_timestamp() as clock,
    current_setting('hot_standby_feedback')::bool as feedback,
    exists (select from pg_stat_wal_receiver) as receives,
    pg_has_role('pg_read_all_stats', 'usage') as may_see_timeline;
