-- Retention: what is old enough to go. Each statement takes a page, so that none holds its locks for long.

-- name: partitions
-- The partitions of these tables; one that is being detached says so.
select p.relname as parent, c.relname as name, i.inhdetachpending as detaching
from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
where i.inhparent = any (array(select to_regclass(t)::oid from unnest($1::text[]) t))
order by c.relname;

-- name: left_over
-- Detached partitions of these tables, left by a process that did not get to drop them.
select c.relname as name
from pg_class c
where c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('pushes')) and c.relkind = 'r'
    and not c.relispartition and c.relname ~ ('^(' || array_to_string($1::text[], '|') || ')_[0-9]{6,8}$');

-- name: days_that_wait
-- The days of messages that somebody may still send: a push of theirs would have no place without its day.
-- across workspaces: they share the partitions.
select distinct (m.created_at at time zone 'utc')::date as day
from (
    select workspace_id, message_id from batches
    union select workspace_id, message_id from held_verdicts
    union select workspace_id, message_id from broadcasts where state in ('scheduled', 'fetching', 'planning')
) w join messages m using (workspace_id, message_id);

-- name: alone
-- Whether nobody else tidies this schema now; it stays so until the transaction ends.
select pg_try_advisory_xact_lock($1, hashtext(current_schema()));

-- name: begin_alone
-- Whether nobody else tidies this schema now; it stays so until `end_alone`.
select pg_try_advisory_lock($1, hashtext(current_schema()));

-- name: end_alone
-- Others may tidy.
select pg_advisory_unlock($1, hashtext(current_schema()));

-- name: forget_messages
-- Of a page of a workspace's old messages after one of them, those go that nothing waits for, no broadcast was and no push is recorded of,
-- with their app reports. Returns the last of the page.
with page as (
    select message_id, created_at from messages
    where workspace_id = $1 and message_id > $2 and message_id < $3
    order by message_id
    limit $4
),
over as (
    select p.message_id from page p
    where not exists (select from batches b where b.workspace_id = $1 and b.message_id = p.message_id)
        and not exists (select from held_verdicts h where h.workspace_id = $1 and h.message_id = p.message_id)
        and not exists (select from broadcasts b where b.workspace_id = $1 and b.message_id = p.message_id)
        and not exists (
            select from pushes x
            where x.workspace_id = $1 and x.message_day = (p.created_at at time zone 'utc')::date
                and x.message_id = p.message_id)
),
told as (
    delete from reports r using over o where r.workspace_id = $1 and r.message_id = o.message_id
),
gone as (
    delete from messages m using over o where m.workspace_id = $1 and m.message_id = o.message_id
    returning m.message_id
)
select (select message_id from page order by message_id desc limit 1) as last, (select count(*) from gone) as gone;

-- name: forget_reports
-- App reports of messages whose pushes are deleted.
delete from reports
where workspace_id = $1 and ctid = any (array(
    select ctid from reports where workspace_id = $1 and message_id < $2 limit $3));

-- name: forget_named
-- Listed people of old, finished broadcasts.
delete from broadcast_people
where workspace_id = $1 and ctid = any (array(
    select p.ctid from broadcast_people p join broadcasts b using (workspace_id, broadcast_id)
    where p.workspace_id = $1 and b.state in ('planned', 'cancelled', 'failed')
        and coalesce(b.started_at, b.created_at) < $2
        and not exists (select from batches q where q.workspace_id = $1 and q.message_id = b.message_id)
        and not exists (select from held_verdicts h where h.workspace_id = $1 and h.message_id = b.message_id)
    limit $3));

-- name: forget_failed_changes
-- Failed changes as old as events that were deleted.
delete from failed_changes
where workspace_id = $1 and failed_id = any (array(
    select failed_id from failed_changes where workspace_id = $1 and failed_at < $2 limit $3));

-- name: forget_exports
-- Old exports that are written, or could not be.
delete from exports
where workspace_id = $1 and export_id = any (array(
    select export_id from exports
    where workspace_id = $1 and state <> 'pending' and updated_at < $2
    order by export_id
    limit $3));

-- name: forget_imports
-- Old imports that ended, or whose file was never uploaded to its end; with their files.
delete from imports
where workspace_id = $1 and import_id = any (array(
    select import_id from imports
    where workspace_id = $1 and state <> 'pending' and updated_at < $2
    order by import_id
    limit $3));

-- name: forget_import_keys
-- What imports named that are not there any more; whatever the time is.
delete from import_keys
where workspace_id = $1 and $2::timestamptz is not null and ctid = any (array(
    select k.ctid from import_keys k
    where k.workspace_id = $1 and not exists (
        select from imports i where i.workspace_id = k.workspace_id and i.import_id = k.import_id)
    limit $3));

-- name: forget_outbox
-- Of the oldest that waits for each webhook, what is so old that nobody comes for it.
delete from outbox o
using webhooks w cross join lateral (
    select outbox_id from outbox
    where workspace_id = w.workspace_id and webhook_id = w.webhook_id
    order by outbox_id
    limit $3
) old
where w.workspace_id = $1 and o.workspace_id = $1 and o.webhook_id = w.webhook_id and o.outbox_id = old.outbox_id
    and o.happened_at < $2;
