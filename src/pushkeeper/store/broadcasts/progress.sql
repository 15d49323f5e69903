-- The progress of a broadcast: outcomes, and remaining work.

-- name: tallies
-- The outcomes of a broadcast's pushes.
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

-- name: details
-- The most frequent details of failed pushes by reason, among the first 20,000 pushes of the message.
select code as reason, detail, count(*) as pushes
from (
    select ending, push_reason(ending, provider, reason) as code, detail from pushes
    where workspace_id = $1 and message_day = $2 and message_id = $3
    limit 20000) as sample
where ending = 'failed' and detail <> ''
group by 1, 2
order by 3 desc, 1, 2
limit 10;

-- name: waiting
-- The remaining devices of a broadcast by what they wait for: a paused route, a later time, or their turn.
select coalesce(r.pause_reason, '') as paused, b.due_at > now() as later,
    sum(coalesce(cardinality(b.device_ids), 1))::bigint as devices, min(b.due_at) as first_at, max(b.due_at) as last_at
from batches b
    left join routes r on r.workspace_id = b.workspace_id and r.route_id = b.lane and r.paused_at is not null
where b.workspace_id = $1 and b.message_id = $2
group by 1, 2;
