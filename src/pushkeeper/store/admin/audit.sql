-- The audit log: what users did.

-- name: begin
-- Somebody is about to do something.
insert into audit_log (user_id, user_name, workspace_id, workspace, action, target, address)
values ($1, $2, $3, $4, $5, $6, $7)
returning audit_id;

-- name: end
-- What came of it.
-- across workspaces: the log is the installation's.
update audit_log set outcome = $2, target = coalesce(nullif($3, ''), target), detail = $4 where audit_id = $1;

-- name: page
-- Lines before one of them, the newest first; of one workspace or one user, where that is asked for.
-- across workspaces: the log is the installation's.
select audit_id, at, user_id, user_name, workspace_id, workspace, action, target, outcome, detail, address
from audit_log
where ($1::bigint is null or audit_id < $1) and ($2::bigint is null or workspace_id = $2)
    and ($3::bigint is null or user_id = $3)
order by audit_id desc
limit $4;
