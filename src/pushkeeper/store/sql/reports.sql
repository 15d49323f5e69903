-- Reports: what the app itself told of a push.

-- name: insert
-- Reports of pushes that were sent, each metric once for a device; what was never sent, or is told again, is left out.
insert into reports (message_id, person_id, device_id, metric, workspace_id, reported_at, href)
select m.message_id, r.person_id,
    case when r.token = '' then ''::bytea
        when w.token_ownership = 'share' then own_device(token_device(m.workspace_id, r.token), r.person_id)
        else token_device(m.workspace_id, r.token) end,
    r.metric, m.workspace_id, min(r.reported_at), min(r.href)
from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
        as r (message_id, person_id, token, metric, reported_at, href)
    join messages m on m.message_id = r.message_id and (m.person_id is null or m.person_id = r.person_id)
    join workspaces w on w.workspace_id = m.workspace_id
group by 1, 2, 3, 4, 5
on conflict do nothing;

-- name: firsts
-- When each metric of a delivery was first told of.
select metric, min(reported_at) as at
from reports
where message_id = $1 and person_id = $2
group by metric;

-- name: workspace
-- Whose message a delivery is.
select workspace_id from messages where message_id = $1 and (person_id is null or person_id = $2);
