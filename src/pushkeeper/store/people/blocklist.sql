-- Identifiers of people who were suppressed.

-- name: block
-- Block one person's identifiers; only their hashes are stored.
insert into blocked (workspace_id, kind, key, person, hashed)
select workspace_id, kind, key, p.person, true
from unnest($1::bigint[], $2::text[], $3::text[]) as a (workspace_id, kind, key),
    (select gen_random_uuid() as person offset 0) p
on conflict do nothing;

-- name: unblock
-- Unblock this identifier, and the others that the same person had.
delete from blocked b using blocked named
where named.workspace_id = $1 and named.kind = $2 and named.key in ($3, $4)
    and b.workspace_id = named.workspace_id and b.person = named.person;

-- name: blocked_in_clear
-- Identifiers that release 0.1 blocked.
-- across workspaces: they are hashed for all.
select workspace_id, kind, key from blocked where not hashed limit $1;

-- name: hash_blocked
-- Replace identifiers by their hashes; one that is already blocked by its hash is deleted.
with given as (
    select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) as g (workspace_id, kind, key, hash)
),
gone as (
    delete from blocked b using given g
    where b.workspace_id = g.workspace_id and b.kind = g.kind and b.key = g.key and not b.hashed
    returning b.workspace_id, b.kind, g.hash, b.person, b.blocked_at
)
insert into blocked (workspace_id, kind, key, person, blocked_at, hashed)
select workspace_id, kind, hash, person, blocked_at, true from gone
on conflict do nothing;
