-- Reports: what the app reported about a push.

-- name: insert
-- Reports of pushes to people who are there, each metric once for a device. A token that is neither of a device that the
-- message went to nor of one that the person has names no device. A report without an authenticated id ($9) counts only
-- for a device that the message went to: only its phone knows both.
-- across workspaces: a group is of all who report, and each report is of the workspace that its delivery's id names.
with told as (
    select r.*, m.created_at, w.token_ownership
    from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[], $9::boolean[])
            as r (workspace_id, message_id, person_id, token, metric, reported_at, href, action, authenticated)
        join messages m on m.workspace_id = r.workspace_id and m.message_id = r.message_id
            and (m.person_id is null or m.person_id = r.person_id)
        join workspaces w on w.workspace_id = r.workspace_id
)
insert into reports (workspace_id, message_id, person_id, device_id, metric, reported_at, href, action)
select t.workspace_id, t.message_id, t.person_id, coalesce(at.device_id, ''), t.metric, min(t.reported_at), min(t.href),
    min(t.action)
from told t
    left join lateral (
        select k.device_id
        from (
            select token_device(t.workspace_id, t.token) as device_id
            union all
            select shared_device(token_device(t.workspace_id, t.token), t.person_id)
            where t.token_ownership = 'share'
        ) k
        where t.token <> '' and (
            exists (
                select from pushes p
                where p.workspace_id = t.workspace_id and p.message_day = (t.created_at at time zone 'utc')::date
                    and p.message_id = t.message_id and p.device_id = k.device_id and p.person_id = t.person_id)
            or t.authenticated and exists (
                select from devices d
                where d.workspace_id = t.workspace_id and d.device_id = k.device_id and d.person_id = t.person_id))
        limit 1
    ) at on true
where at.device_id is not null
    or t.authenticated and (
        exists (select from people p where p.workspace_id = t.workspace_id and p.person_id = t.person_id)
        or exists (select from merged_people p where p.workspace_id = t.workspace_id and p.former_id = t.person_id))
group by 1, 2, 3, 4, 5
on conflict do nothing;

-- name: firsts
-- When each metric of a delivery was first reported, and with which actions.
select metric, min(reported_at) as at,
    coalesce(array_agg(distinct action) filter (where action is not null), '{}') as actions
from reports
where workspace_id = $1 and message_id = $2 and person_id = $3
group by metric;

-- name: sender
-- The workspace of a message, and its recipient if it went to one person.
-- across workspaces: the ids of release 0.1 name none.
select m.workspace_id, m.person_id
from workspaces w join messages m using (workspace_id)
where m.message_id = $1;
