-- Results of broadcasts: outcomes and what apps reported.

-- name: of_messages
-- The counts of some broadcasts by platform, and by outcome or reported metric.
select message_id, platform, ending as name, sum(pushes)::bigint as count
from broadcast_tallies
where workspace_id = $1 and message_id = any ($2::uuid[])
group by 1, 2, 3
union all
select message_id, platform, metric, sum(devices)::bigint
from broadcast_engagement
where workspace_id = $1 and message_id = any ($2::uuid[])
group by 1, 2, 3;

-- name: of_workspace
-- The counts of the newest broadcasts that began, by outcome or reported metric.
with latest as materialized (
    select broadcast_id, message_id from broadcasts
    where workspace_id = $1 and message_id is not null
    order by broadcast_id desc
    limit $2
)
select l.broadcast_id, t.ending as name, sum(t.pushes)::bigint as count
from latest l join broadcast_tallies t on t.workspace_id = $1 and t.message_id = l.message_id
group by 1, 2
union all
select l.broadcast_id, e.metric, sum(e.devices)::bigint
from latest l join broadcast_engagement e on e.workspace_id = $1 and e.message_id = l.message_id
group by 1, 2
union all
select broadcast_id, 'skipped', 0 from latest;
