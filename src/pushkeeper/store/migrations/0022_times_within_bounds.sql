-- Times lie within what PostgreSQL, its driver and Python all hold (docs/decisions/0031-times-from-outside.md). What clients
-- said before that is mended: it takes the time at which it came.

-- Rows whose times cannot be read back, and what says of the past that it is still to come.
create function mend_times() returns void language plpgsql as $$
declare
    earliest constant timestamptz := '1970-01-01 00:00:00+00';
    too_late constant timestamptz := '2200-01-01 00:00:00+00';
    now_s constant numeric := floor(extract(epoch from now()));
begin
    update events set happened_at = received_at where happened_at < earliest or happened_at >= too_late;

    update reports r set reported_at = coalesce(
        (select m.created_at from messages m where m.workspace_id = r.workspace_id and m.message_id = r.message_id), now())
    where reported_at < earliest or reported_at > now();

    update outbox set happened_at = now() where happened_at < earliest or happened_at > now();

    update devices set last_used = registered_at where last_used < earliest or last_used > now();

    update anonymous_devices set registration = jsonb_set(registration, '{last_used}', to_jsonb(told_at))
    where (registration ->> 'last_used')::timestamptz not between earliest and now();

    update people p set changed_at = (
        select jsonb_object_agg(key, case
            when value < to_jsonb(0) then to_jsonb(floor(extract(epoch from p.created_at)))
            when value > to_jsonb(now_s) then to_jsonb(now_s)
            else value end)
        from jsonb_each(p.changed_at))
    where jsonb_path_exists(changed_at, '$.* ? (@ < 0 || @ > $now)', jsonb_build_object('now', now_s));
end $$;

-- Bound every column of times that is not yet, by one constraint for each table, in words that the planner has not to look up
-- for each insert. The rows of a large table are looked at later, by `migrate`, beside whoever reads and writes.
create function bound_times() returns void language plpgsql as $$
declare
    found record;
begin
    for found in
        select c.oid::regclass as name, quote_ident(c.relname || '_times') as constraint_name,
            coalesce((select sum(pg_relation_size(relid)) from pg_partition_tree(c.oid)), pg_relation_size(c.oid)) as bytes,
            string_agg(
                -- -infinity takes up a slot of its broadcast's rate as soon as there is one.
                case a.attname when 'slot_at' then '(slot_at = ''-infinity'' or ' else '(' end || format(
                    '%1$I >= ''1970-01-01 00:00:00+00'' and %1$I < ''2200-01-01 00:00:00+00'')', a.attname),
                ' and ' order by a.attnum) as bounds
        from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.atttypid = 'timestamptz'::regtype and a.attnum > 0 and not a.attisdropped
            left join pg_constraint b on b.conrelid = c.oid and b.conname = c.relname || '_times'
        where c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('workspaces'))
            and c.relkind in ('r', 'p') and not c.relispartition
        group by c.oid
        having not bool_and(coalesce(a.attnum = any (b.conkey), false))
        order by c.relname
    loop
        execute format('alter table %s drop constraint if exists %s', found.name, found.constraint_name);
        execute format('alter table %s add constraint %s check (%s) %s', found.name, found.constraint_name, found.bounds,
            case when found.bytes > 100 * 1024 * 1024 then 'not valid' else '' end);
    end loop;
end $$;

select mend_times();
