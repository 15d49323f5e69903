-- Sessions of users, and how often logging in failed.

-- name: start
-- A user is logged in.
with seen as (
    update users set seen_at = now() where user_id = $2
)
insert into sessions (token_hash, user_id, address) values ($1, $2, $3);

-- name: find
-- A session that is not over, with its user, unless disabled; its use is recorded if the last record is older than a
-- number of seconds.
with found as (
    select s.token_hash, s.seen_at as session_seen_at, u.user_id, u.name, u.role,
        u.password_hash is not null as ready, u.disabled_at, u.created_at, u.seen_at
    from sessions s join users u using (user_id)
    where s.token_hash = $1 and u.disabled_at is null
        and s.seen_at > now() - $3::interval and s.created_at > now() - $4::interval
),
used as (
    update sessions s set seen_at = now() from found f
    where s.token_hash = f.token_hash and f.session_seen_at < now() - make_interval(secs => $2)
)
select user_id, name, role, ready, disabled_at, created_at, seen_at from found;

-- name: end
-- This session is over.
delete from sessions where token_hash = $1;

-- name: end_of
-- All sessions of a user are over, save one.
delete from sessions where user_id = $1 and token_hash is distinct from $2;

-- name: failures
-- Failed logins recently by this name or from this address.
select count(*) filter (where name_hash = $1 and address = $2) as of_both,
    count(*) filter (where address = $2) as of_address,
    count(*) filter (where name_hash = $1) as of_name
from login_failures
where at > now() - $3::interval and (name_hash = $1 or address = $2);

-- name: note_failure
-- Logging in failed.
insert into login_failures (name_hash, address) values ($1, $2);

-- name: forget_failures
-- What failed by this name from this address was a slip.
delete from login_failures where name_hash = $1 and address = $2;

-- name: clean
-- Sessions, failures and links that are over.
with ended as (
    delete from sessions where seen_at < now() - $1::interval or created_at < now() - $2::interval
),
passed as (
    delete from user_links where expires_at < now()
)
delete from login_failures where at < now() - $3::interval;
