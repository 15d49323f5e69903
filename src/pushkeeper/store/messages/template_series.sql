-- Outcomes of a template's deliveries per period, oldest first.

-- name: of_template
-- Each metric of a template's deliveries by the period in which it happened: pushes by their ends, reports as they came. A
-- delivery of a broadcast is made with its message. The messages of a broadcast's template are found by its broadcasts.
with periods as (
    select date_trunc($3, now(), 'UTC') - n * ('1 ' || $3)::interval as begins
    from generate_series($4 - 1, 0, -1) n
),
sent as (
    select workspace_id, message_id, created_at, drafted from messages
    where workspace_id = $1 and template_id = $2 and kind = 'transactional' and not $5::boolean
        and expires_at >= (select min(begins) from periods)
    union all
    select workspace_id, m.message_id, m.created_at, false
    from broadcasts b join messages m using (workspace_id, message_id)
    where b.workspace_id = $1 and b.template_id = $2 and $5
        and m.expires_at >= (select min(begins) from periods)
),
pushed as (
    select p.message_id, p.person_id, push_metric(p.ending, p.reason) as metric, min(p.settled_at) as at,
        min(p.settled_at) filter (where p.attempts > 0) as attempted_at, min(s.created_at) as created_at
    from sent s join pushes p on p.workspace_id = s.workspace_id
        and p.message_day = (s.created_at at time zone 'utc')::date and p.message_id = s.message_id
    group by 1, 2, 3
),
happened as (
    select metric, at from pushed
    union all
    select 'attempted', min(attempted_at) from pushed group by message_id, person_id
    union all
    select 'created', min(created_at) from pushed where $5 group by message_id, person_id
    union all
    select 'created', created_at from sent where not $5
    union all
    select 'drafted', created_at from sent where drafted
    union all
    select r.metric, min(r.reported_at)
    from sent s join reports r using (workspace_id, message_id)
    group by r.metric, r.message_id, r.person_id
),
counted as (
    select metric, date_trunc($3, at, 'UTC') as begins, count(*) as deliveries from happened group by 1, 2
)
select m.metric, array_agg(coalesce(c.deliveries, 0) order by p.begins) as counts
from periods p
cross join (select distinct metric from counted) m
left join counted c using (metric, begins)
group by 1;

-- name: links
-- Clicks on each link in a template's deliveries, period by period; with $6, only each person's first click on it.
with periods as (
    select date_trunc($3, now(), 'UTC') - n * ('1 ' || $3)::interval as begins
    from generate_series($4 - 1, 0, -1) n
),
sent as (
    select workspace_id, message_id from messages
    where workspace_id = $1 and template_id = $2 and kind = 'transactional' and not $5::boolean
    union all
    select workspace_id, message_id from broadcasts where workspace_id = $1 and template_id = $2 and $5
),
clicks as (
    select r.href, min(r.reported_at) as at
    from sent s join reports r using (workspace_id, message_id)
    where r.metric = 'clicked' and r.href is not null
    group by r.href, r.person_id, case when not $6::boolean then (r.message_id, r.device_id) end
),
counted as (
    select href, date_trunc($3, at, 'UTC') as begins, count(*) as clicks from clicks group by 1, 2
)
select l.href, array_agg(coalesce(c.clicks, 0) order by p.begins) as counts
from periods p
cross join (select distinct href from counted) l
left join counted c using (href, begins)
group by 1;
