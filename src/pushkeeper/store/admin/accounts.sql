-- Users of the dashboard, and the links by which they set their passwords.

-- name: insert
-- A user without a password; none comes back when the name is taken.
insert into users (name, key, role) values ($1, $2, $3) on conflict (key) do nothing returning user_id;

-- name: every
-- All users, by their names.
select user_id, name, role, password_hash is not null as ready, disabled_at, created_at, seen_at
from users order by key;

-- name: read
-- One user.
select user_id, name, role, password_hash is not null as ready, disabled_at, created_at, seen_at
from users where user_id = $1;

-- name: by_key
-- The user whose name has this key, with the hash of their password.
select user_id, name, role, password_hash is not null as ready, disabled_at, created_at, seen_at, password_hash
from users where key = $1;

-- name: are_there
-- Whether there is any user.
select exists (select from users);

-- name: lock
-- Users are created and changed one at a time, so that the check for a remaining admin is reliable.
lock table users in share row exclusive mode;

-- name: set_password
-- Another password; the links that would set one are used up.
with used as (
    delete from user_links where user_id = $1
)
update users set password_hash = $2 where user_id = $1;

-- name: set_role
-- Another role.
update users set role = $2 where user_id = $1;

-- name: set_disabled
-- Kept out since now, or let in again; the links that would set a password are used up.
with used as (
    delete from user_links where user_id = $1
)
update users set disabled_at = case when $2 then coalesce(disabled_at, now()) end where user_id = $1;

-- name: add_link
-- Store a link in place of the user's earlier ones; links that create the first admin coexist, as servers do.
with former as (
    delete from user_links where user_id = $2 or expires_at < now()
)
insert into user_links (token_hash, user_id, expires_at) values ($1, $2, now() + $3) returning expires_at;

-- name: link
-- A link that may still be followed, with whose it is.
select l.expires_at, l.user_id, u.name, u.role, u.password_hash is not null as ready, u.disabled_at, u.created_at,
    u.seen_at
from user_links l left join users u using (user_id)
where l.token_hash = $1 and l.expires_at > now() and u.disabled_at is null;

-- name: use_link
-- A link is used up.
delete from user_links where token_hash = $1 and expires_at > now() returning user_id;
