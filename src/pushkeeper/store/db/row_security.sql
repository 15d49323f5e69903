-- Row-level security: the second lock between workspaces. The first is that every statement names its workspace.

-- name: roles
-- The roles, where we may make them: of what runs for some workspaces, and of what runs for all. Only members may take them.
do $$
declare
    role text;
begin
    foreach role in array array['pushkeeper_tenant', 'pushkeeper_jobs'] loop
        begin
            if not exists (select from pg_roles where rolname = role) then
                execute format('create role %I nologin', role);
            end if;
            -- Who makes a role is a member at once since PostgreSQL 16, but may not take it.
            if not pg_has_role(role, case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end) then
                execute format('grant %I to current_user', role);
            end if;
        exception
            when duplicate_object or unique_violation then null; -- somebody else has made it at this moment
            when insufficient_privilege then null; -- doctor says what is to be done
        end;
    end loop;
end $$;

-- name: there
-- Whether both roles are there to be taken.
select count(*) = 2 from pg_roles
where rolname in ('pushkeeper_tenant', 'pushkeeper_jobs')
    and pg_has_role(oid, case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end);

-- name: unlocked
-- The tables without their policies, and whether their rows belong to workspaces.
select c.oid::regclass::text as name, exists (
        select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id' and not a.attisdropped)
    as is_tenants
from pg_class c
where c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('workspaces'))
    and c.relkind in ('r', 'p') and not c.relispartition and not exists (
        select from pg_policy p where p.polrelid = c.oid and p.polname = 'jobs')
order by 1;

-- name: schema
-- Keys come with the inserted rows.
do $$
begin
    execute format('grant usage on schema %I to pushkeeper_tenant, pushkeeper_jobs', current_schema());
    execute format('grant usage on all sequences in schema %I to pushkeeper_tenant, pushkeeper_jobs', current_schema());
end $$;

-- name: lock
-- What runs for all workspaces sees every row.
alter table {table} enable row level security;
grant select, insert, update, delete on {table} to pushkeeper_jobs;
create policy jobs on {table} to pushkeeper_jobs using (true) with check (true);

-- name: lock_tenants
-- What runs for some sees theirs, and puts nothing into another.
grant select, insert, update, delete on {table} to pushkeeper_tenant;
create policy tenant on {table} to pushkeeper_tenant
    using (workspace_id = any ((select current_setting('pushkeeper.workspaces', true)::bigint[])::bigint[]))
    with check (workspace_id = any ((select current_setting('pushkeeper.workspaces', true)::bigint[])::bigint[]));
