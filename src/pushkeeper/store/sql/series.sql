-- Series: how many deliveries of a template came to what, period by period, the oldest first.

-- name: of_template
-- Each metric of a template's deliveries by the period in which it happened: pushes by their ends, reports as they came.
with periods as (
    select date_trunc($3, now(), 'UTC') - n * ('1 ' || $3)::interval as begins, ('1 ' || $3)::interval as lasts
    from generate_series($4 - 1, 0, -1) n
),
sent as (
    select workspace_id, message_id, created_at, drafted from messages
    where workspace_id = $1 and template_id = $2
        and created_at >= (select min(begins) from periods) - interval '28 days'
),
happened as (
    select push_metric(p.ending, p.reason) as metric, p.message_id, p.person_id, min(p.settled_at) as at
    from sent s join pushes p on p.workspace_id = s.workspace_id
        and p.message_day = (s.created_at at time zone 'utc')::date and p.message_id = s.message_id
    group by 1, 2, 3
    union all
    select 'attempted', p.message_id, p.person_id, min(p.settled_at)
    from sent s join pushes p on p.workspace_id = s.workspace_id
        and p.message_day = (s.created_at at time zone 'utc')::date and p.message_id = s.message_id
    where p.attempts > 0
    group by 1, 2, 3
    union all
    select r.metric, r.message_id, r.person_id, min(r.reported_at)
    from sent s join reports r using (workspace_id, message_id)
    group by 1, 2, 3
    union all
    select 'created', s.message_id, 0, s.created_at from sent s
    union all
    select 'drafted', s.message_id, 0, s.created_at from sent s where s.drafted
)
select h.metric, array_agg(h.deliveries order by h.begins) as counts
from (
    select m.metric, p.begins, count(h.at) as deliveries
    from periods p
    cross join (select distinct metric from happened) m
    left join happened h on h.metric = m.metric and h.at >= p.begins and h.at < p.begins + p.lasts
    group by 1, 2
) h
group by 1;

-- name: links
-- Clicks on each link in a template's deliveries, period by period.
with periods as (
    select date_trunc($3, now(), 'UTC') - n * ('1 ' || $3)::interval as begins, ('1 ' || $3)::interval as lasts
    from generate_series($4 - 1, 0, -1) n
),
clicks as (
    select r.href, r.reported_at from messages m join reports r using (workspace_id, message_id)
    where m.workspace_id = $1 and m.template_id = $2 and r.metric = 'clicked' and r.href is not null
)
select c.href, array_agg(c.clicks order by c.begins) as counts
from (
    select l.href, p.begins, count(c.reported_at) as clicks
    from periods p
    cross join (select distinct href from clicks) l
    left join clicks c on c.href = l.href and c.reported_at >= p.begins and c.reported_at < p.begins + p.lasts
    group by 1, 2
) c
group by 1;
