-- Credentials.

-- name: put
-- Add a credential, or put new facts and secrets into the one for the same app and environment.
insert into credentials (workspace_id, provider, kind, app, environment, facts, sealed, endpoint_url, ca_pem)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (workspace_id, provider, app, environment) do update set
    kind = excluded.kind, facts = excluded.facts, sealed = excluded.sealed,
    endpoint_url = excluded.endpoint_url, ca_pem = excluded.ca_pem, changed_at = now()
returning credential_id;

-- name: exists
-- Whether there is a credential for this app and environment.
select exists (
    select from credentials where workspace_id = $1 and provider = $2 and app = $3 and environment = $4);

-- name: former
-- The credential that one for the same app and environment comes in the place of, until the transaction ends.
select facts, sealed from credentials
where workspace_id = $1 and provider = $2 and app = $3 and environment = $4
for update;

-- name: read
-- A credential with its sealed secret.
select credential_id, workspace_id, provider, kind, app, environment, facts, sealed, endpoint_url, ca_pem,
    created_at, changed_at
from credentials
where workspace_id = $1 and credential_id = $2;

-- name: of_workspace
-- The credentials of a workspace, without their secrets.
select credential_id, provider, kind, app, environment, facts, endpoint_url, created_at, changed_at
from credentials where workspace_id = $1
order by provider, app, environment;

-- name: set_up
-- Which of these workspaces have credentials.
select distinct workspace_id from credentials where workspace_id = any ($1::bigint[]);
