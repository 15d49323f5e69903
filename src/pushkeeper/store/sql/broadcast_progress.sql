-- How far a broadcast has come: what ended, and what there is left to do.

-- name: tallies
-- What came of a broadcast's pushes.
select platform, ending, reason, provider_reason, sum(pushes)::bigint as pushes, max(last_at) as last_at
from broadcast_tallies
where workspace_id = $1 and message_id = $2
group by 1, 2, 3, 4
order by 5 desc, 1, 2, 3, 4;

-- name: minutes
-- How many of its pushes ended, minute by minute, from a time on.
select minute, ending, sum(pushes)::bigint as pushes
from broadcast_minutes
where workspace_id = $1 and message_id = $2 and minute >= $3
group by 1, 2
order by 1, 2;

-- name: waiting
-- For how many devices of a broadcast there is work left, by why it waits: its route is paused, it is due later, or not.
select coalesce(r.pause_reason, '') as paused, b.due_at > now() as later,
    sum(coalesce(cardinality(b.device_ids), 1))::bigint as devices, min(b.due_at) as first_at, max(b.due_at) as last_at
from batches b
    left join routes r on r.workspace_id = b.workspace_id and r.route_id = b.lane and r.paused_at is not null
where b.workspace_id = $1 and b.message_id = $2
group by 1, 2;
