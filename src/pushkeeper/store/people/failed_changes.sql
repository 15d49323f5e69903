-- Identifiers that were not applied to people.

-- name: insert
-- Record identifiers that were not applied, each with the one that the person has.
insert into failed_changes (workspace_id, person_id, owner_id, name, value, former)
select f.*, (
    select i.value from identifiers i
    where i.workspace_id = f.workspace_id and i.person_id = f.person_id and i.kind = f.name)
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])
    as f (workspace_id, person_id, owner_id, name, value);
