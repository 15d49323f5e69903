-- Estimates of what to expect of a broadcast, which workers make.

-- name: request
-- Request an estimate; again if it is done, failed, or being computed for an earlier version.
insert into broadcast_estimates (workspace_id, broadcast_id) values ($1, $2)
on conflict (workspace_id, broadcast_id) do update set
    state = 'pending', failure = null, asked_at = now(), attempts = 0, next_attempt_at = now(), claimed_until = null,
    claim_id = null, last_error = null;

-- name: lock
-- When an estimate was requested that is still claimed; nobody requests another until the transaction ends.
select asked_at from broadcast_estimates
where workspace_id = $1 and broadcast_id = $2 and claim_id = $3 and state = 'pending'
for update;

-- name: finish
-- An estimate is done, or has failed for good.
update broadcast_estimates set state = case when $3::text is null then 'done' else 'failed' end, failure = $3,
    claimed_until = null, claim_id = null, last_error = $3
where workspace_id = $1 and broadcast_id = $2;

-- name: has_worker
-- Whether any worker is alive.
select exists (select from workers where seen_at > now() - interval '15 seconds');
