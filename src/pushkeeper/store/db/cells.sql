-- The cell of a database: its sequences say it.

-- name: numbering
-- The sequences that number rows, each with its table and its bounds.
select s.oid::regclass::text as sequence, d.refobjid::regclass::text as table_name, q.seqmin as least, q.seqmax as most,
    d.refobjid = to_regclass('workspaces') as of_workspaces
from pg_class s
    join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = s.oid and d.deptype = 'i'
    join pg_sequence q on q.seqrelid = s.oid
where s.relkind = 'S' and s.relnamespace = (select relnamespace from pg_class where oid = to_regclass('workspaces'))
order by 1;
