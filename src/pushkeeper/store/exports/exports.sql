-- The list of exports: what was asked for and by whom, and the text in parts of those that a worker writes.

-- name: insert
-- A new export, to be written by a worker or streamed from now on.
insert into exports (workspace_id, kind, asked, attributes, state, actor_kind, actor_name)
values ($1, $2, $3, $4, $5, $6, $7) returning export_id;

-- name: note
-- So many lines are streamed, unless it was cancelled.
update exports set lines = $3, updated_at = now()
where workspace_id = $1 and export_id = $2 and state = 'running'
returning export_id;

-- name: end
-- The stream has ended.
update exports set state = $3, lines = $4, failure = $5, updated_at = now()
where workspace_id = $1 and export_id = $2 and state = 'running';

-- name: cancel
-- The stream is to end.
update exports set state = 'cancelled', updated_at = now()
where workspace_id = $1 and export_id = $2 and state = 'running'
returning export_id;

-- name: all
-- The exports of a workspace, or one of them, the newest first.
select export_id, workspace_id, kind, asked, attributes,
    case when state = 'running' and updated_at < now() - interval '1 minute' then 'interrupted' else state end as state,
    lines, failure, last_error, attempts, next_attempt_at, created_at, updated_at, actor_kind, actor_name
from exports
where workspace_id = $1 and ($2::bigint is null or export_id = $2) and ($3::text[] is null or kind = any ($3))
order by export_id desc limit 100;

-- name: claimed
-- An export that is claimed, which nobody changes until the transaction ends.
select export_id, workspace_id, kind, asked, attributes, state, lines, failure, last_error, attempts, next_attempt_at,
    created_at, updated_at, actor_kind, actor_name
from exports where workspace_id = $1 and export_id = $2 and claim_id = $3 and state = 'pending'
for update;

-- name: clear
-- Nothing of an export is written.
delete from export_parts where workspace_id = $1 and export_id = $2;

-- name: add_part
-- The next part of an export's text.
insert into export_parts (workspace_id, export_id, part, text) values ($1, $2, $3, $4);

-- name: done
-- The export is done; `failure` says what it lacks.
update exports set state = 'done', lines = $4, failure = $5, updated_at = now()
where workspace_id = $1 and export_id = $2 and claim_id = $3 and state = 'pending';

-- name: part
-- One part of an export's text.
select text from export_parts where workspace_id = $1 and export_id = $2 and part = $3;

-- name: people
-- A page of people who match a condition (store/audiences/filter_sql.py), by key, whole.
select p.person_id, p.attributes, p.unsubscribed, p.created_at,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = p.workspace_id and i.person_id = p.person_id and kind = 'email') as email
from people p
where p.workspace_id = $1 and p.person_id > $2 and {condition}
order by p.person_id
limit $3;

-- name: happened
-- When each metric first happened to these deliveries, with the identifiers and attributes of their people.
select d.message_id, d.person_id, m.kind, m.template_id, m.created_at,
    coalesce((select attributes from people w
        where w.workspace_id = m.workspace_id and w.person_id = d.person_id), '{}') as attributes,
    (select value from identifiers i
        where i.workspace_id = m.workspace_id and i.person_id = d.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = m.workspace_id and i.person_id = d.person_id and kind = 'email') as email,
    coalesce((
        select jsonb_object_agg(h.metric, extract(epoch from h.at)::bigint) from (
            select x.metric, min(x.at) as at from (
                select push_metric(p.ending, p.reason) as metric, p.settled_at as at from pushes p
                where p.workspace_id = m.workspace_id and p.message_day = (m.created_at at time zone 'utc')::date
                    and p.message_id = d.message_id and p.person_id = d.person_id
                union all
                select r.metric, r.reported_at from reports r
                where r.workspace_id = m.workspace_id and r.message_id = d.message_id and r.person_id = d.person_id
            ) x
            group by 1
        ) h
    ), '{}') as metrics
from unnest($2::uuid[], $3::bigint[]) with ordinality as d (message_id, person_id, place)
    join messages m on m.workspace_id = $1 and m.message_id = d.message_id
order by d.place;
