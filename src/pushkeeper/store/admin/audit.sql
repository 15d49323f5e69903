-- The audit log: who changed what.

-- name: begin
-- Somebody is about to do something.
insert into audit_log (actor, user_id, user_name, workspace_id, workspace, action, target, address, outcome, detail)
values ($1, $2, $3, $4, coalesce((select name from workspaces where workspace_id = $4), ''), $5, $6, $7, $8, $9)
returning audit_id;

-- name: end
-- The result of it. What its transaction has said is done stays done, whatever fails after that.
-- across workspaces: the log is the installation's.
update audit_log set outcome = $2, target = coalesce(nullif($3, ''), target), detail = $4
where audit_id = $1 and (outcome = 'begun' or $2 = 'done');

-- name: done
-- It is done, where the transaction of the change is committed.
-- across workspaces: the log is the installation's.
update audit_log set outcome = 'done' where audit_id = $1;

-- name: page
-- Lines before one of them, the newest first; optionally of one workspace, user or kind of actor.
-- across workspaces: the log is the installation's.
select audit_id, at, actor, user_id, user_name, workspace_id, workspace, action, target, outcome, detail, address
from audit_log
where ($1::bigint is null or audit_id < $1) and ($2::bigint is null or workspace_id = $2)
    and ($3::bigint is null or user_id = $3) and ($4::text is null or actor = $4)
order by audit_id desc
limit $5;
