-- What the server has of ours.

-- name: secured
-- Whether tables have their policies, and the roles that those are for are ours to take; since PostgreSQL 16 not every member
-- of a role may take it.
select exists (select from pg_policy where polrelid = to_regclass('workspaces') and polname = 'jobs') and (
    select count(*) = 2 from pg_roles
    where rolname in ('pushkeeper_tenant', 'pushkeeper_jobs')
        and pg_has_role(oid, case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end));

-- name: session
-- Which version the server is of, and which of its processes answers.
select current_setting('server_version_num')::int, pg_backend_pid();
