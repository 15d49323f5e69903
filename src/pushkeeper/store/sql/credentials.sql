-- Credentials and their routes.

-- name: put
-- Add a credential, or put new facts and secrets into the one for the same app and environment.
insert into credentials (workspace_id, provider, kind, app, environment, facts, sealed, endpoint_url, ca_pem)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (workspace_id, provider, app, environment) do update set
    kind = excluded.kind, facts = excluded.facts, sealed = excluded.sealed,
    endpoint_url = excluded.endpoint_url, ca_pem = excluded.ca_pem, changed_at = now()
returning credential_id;

-- name: fresh_routes
-- Give a credential its routes; ones that it has are resumed and have to prove themselves again.
insert into routes (credential_id, leg)
select $1, leg from unnest($2::text[]) as leg
on conflict (credential_id, leg) do update set accepted_at = null, paused_at = null, pause_reason = null
returning route_id;

-- name: read
-- A credential with its sealed secret.
select credential_id, workspace_id, provider, kind, app, environment, facts, sealed, endpoint_url, ca_pem,
    created_at, changed_at
from credentials
where credential_id = $1;

-- name: routes
-- The routes of workspaces with what is held on each.
select r.route_id, r.credential_id, c.workspace_id, c.provider, c.app, c.environment, r.leg, c.changed_at,
    r.accepted_at, r.paused_at, r.pause_reason
from routes r join credentials c using (credential_id)
where c.workspace_id = any ($1::bigint[])
order by r.route_id;

-- name: set_up
-- Which of these workspaces have credentials.
select distinct workspace_id from credentials where workspace_id = any ($1::bigint[]);

-- name: held
-- What is held in a workspace, by route and reason.
select held_route_id as route_id, held_reason as reason, count(*) as batches,
    sum(cardinality(device_ids))::bigint as devices
from batches
where workspace_id = $1 and held_reason is not null
group by 1, 2
order by 1, 2;

-- name: accepted
-- The routes proved themselves.
update routes set accepted_at = now() where route_id = any ($1::bigint[]) and accepted_at is null;

-- name: pause
-- Stop one route of a credential, or all of them; one that is paused keeps its first reason.
update routes set paused_at = now(), pause_reason = $3
where credential_id = $1 and ($2::bigint is null or route_id = $2) and paused_at is null;

-- name: resume
-- Let routes of a workspace go on.
update routes r set paused_at = null, pause_reason = null
from credentials c
where c.credential_id = r.credential_id and c.workspace_id = $1 and r.route_id = any ($2::bigint[])
returning r.route_id;

-- name: release
-- Put what is held on routes back into the queue.
update batches set held_route_id = null, held_reason = null, due_at = now()
where held_route_id = any ($1::bigint[]) and held_reason is not null
returning cardinality(device_ids) as devices;
