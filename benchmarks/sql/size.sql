-- What grows with the number of devices.

-- name: counters
-- What the server has written to its log, and read, since it started.
select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint as wal_bytes,
    (select wal_fpi from pg_stat_wal) as page_images, blks_hit as pages_hit, blks_read as pages_read
from pg_stat_database where datname = current_database();

-- name: by_hand_only
-- Vacuum is measured by itself, and so does not run beside anything else.
alter system set autovacuum = off;

-- name: installed
-- As many devices of a platform as there are tokens get one each, as if they had just been registered: the first in the order
-- of keys, which are hashes, so that they lie all over the table.
update devices d set token = m.token, device_id = token_device($1, m.token), status = '', strikes = 0, struck_at = null,
    failure_reason = null
from (
    select device_id, row_number() over (order by device_id) as number from devices
    where workspace_id = $1 and platform = $2
    order by device_id
    limit cardinality($3::text[])
) c
join unnest($3::text[]) with ordinality as m (token, number) using (number)
where d.workspace_id = $1 and d.device_id = c.device_id;

-- name: refreshed
-- A share of all devices ($2 to $3 of 256, by their keys) is registered again, as by their apps' start.
update devices set generation = nextval('device_generations'), registered_at = now(), last_used = now(),
    status = case when status = 'sent' then 'sent' else '' end, strikes = 0, struck_at = null, stale_generation = null
where workspace_id = $1 and get_byte(device_id, 7) >= $2 and get_byte(device_id, 7) < $3;

-- name: refused
-- A share of all devices bounces.
update devices set status = 'bounced', strikes = 1, struck_at = now(), failure_reason = 'UNREGISTERED'
where workspace_id = $1 and get_byte(device_id, 6) < $2 and status in ('', 'sent');

-- name: replaced
-- A share of all devices gets new tokens: what was under the old key goes, and something comes under a new one.
update devices set token = md5(token) || md5('again ' || token), device_id = token_device($1, md5(token) || md5('again ' || token))
where workspace_id = $1 and get_byte(device_id, 5) < $2;

-- name: relations
-- Tables and their indexes: rows, and bytes on disk; partitions count for the table that they are of.
select coalesce(p.relname, t.relname) as "table",
    case when c.relkind = 'i' then coalesce(pi.relname, c.relname) end as "index",
    sum(case when c.relkind = 'r' then greatest(c.reltuples, 0) else 0 end)::bigint as rows,
    sum(pg_relation_size(c.oid))::bigint as bytes
from pg_class t
left join pg_inherits h on h.inhrelid = t.oid left join pg_class p on p.oid = h.inhparent
join (
    select oid as table_oid, oid from pg_class where relkind = 'r'
    union all select indrelid, indexrelid from pg_index
) r on r.table_oid = t.oid
join pg_class c on c.oid = r.oid
left join pg_inherits hi on hi.inhrelid = c.oid and c.relkind = 'i' left join pg_class pi on pi.oid = hi.inhparent
where t.relnamespace = 'public'::regnamespace and t.relkind = 'r' and coalesce(p.relname, t.relname) = any ($1::text[])
group by 1, 2
order by 1, 2 nulls first;
