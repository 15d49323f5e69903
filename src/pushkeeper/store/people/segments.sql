-- Segments: people put together by hand, and saved audiences, which are filters.

-- name: insert
-- A new segment; with a filter it is a saved audience.
insert into segments (workspace_id, name, description, filter, unit) values ($1, $2, $3, $4, $5)
returning segment_id, name, description, filter, unit, created_at, updated_at;

-- name: change
-- Replace a saved audience; no row is returned if it does not exist.
update segments set name = $3, description = $4, filter = $5, unit = $6, updated_at = now()
where workspace_id = $1 and segment_id = $2 and filter is not null
returning segment_id, name, description, filter, unit, created_at, updated_at;

-- name: lock
-- Changes of a workspace's segments run one at a time.
select workspace_id from workspaces where workspace_id = $1 for no key update;

-- name: saved
-- The saved audiences of a workspace.
select segment_id, filter, unit from segments where workspace_id = $1 and filter is not null;

-- name: of_audiences
-- The same, each with its name.
select segment_id as number, name, filter as audience from segments where workspace_id = $1 and filter is not null
order by segment_id;

-- name: ids
-- The numbers of a workspace's segments.
select segment_id from segments where workspace_id = $1;

-- name: of_templates
-- The audiences of templates, which may name segments.
select template_id as number, name, audience from templates where workspace_id = $1 and audience is not null
order by template_id;

-- name: of_broadcasts
-- The audiences of the newest broadcasts that may name segments, in whichever form they are.
select b.broadcast_id as number, b.name, b.audience
from broadcasts b
where b.workspace_id = $1 and b.audience::text like '%segment%'
order by b.broadcast_id desc
limit $2;

-- name: all
-- The segments of a workspace, the oldest first.
select segment_id, name, description, filter, unit, created_at, updated_at
from segments where workspace_id = $1 order by segment_id;

-- name: read
-- One segment.
select segment_id, name, description, filter, unit, created_at, updated_at
from segments where workspace_id = $1 and segment_id = $2;

-- name: delete
-- The segment is gone, and nobody with it.
delete from segments where workspace_id = $1 and segment_id = $2 returning segment_id;

-- name: of_person
-- The segments that a person was put into.
select s.segment_id, s.name, s.description, s.filter, s.unit, s.created_at, s.updated_at
from segment_members m join segments s using (workspace_id, segment_id)
where s.workspace_id = $1 and m.person_id = $2
order by s.segment_id;

-- name: add
-- Add people to a segment; existing members stay.
insert into segment_members (workspace_id, segment_id, person_id)
select $1::bigint, $2::bigint, * from unnest($3::bigint[])
on conflict do nothing;

-- name: remove
-- People are not in a segment any more.
delete from segment_members where workspace_id = $1 and segment_id = $2 and person_id = any ($3::bigint[]);

-- name: count
-- How many people are in a segment.
select count(*) from segment_members where workspace_id = $1 and segment_id = $2;

-- name: members
-- A page of the people in a segment, by their keys.
select m.person_id,
    (select value from identifiers i
        where i.workspace_id = m.workspace_id and i.person_id = m.person_id and kind = 'id') as id,
    (select value from identifiers i
        where i.workspace_id = m.workspace_id and i.person_id = m.person_id and kind = 'email') as email
from segment_members m
where m.workspace_id = $1 and m.segment_id = $2 and m.person_id > $3
order by m.person_id
limit $4;
