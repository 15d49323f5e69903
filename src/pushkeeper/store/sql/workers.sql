-- Workers: who sends now.

-- name: beat
-- A worker is alive; answers with how many are.
with me as (
    insert into workers (worker_id, host, pid) values ($1, $2, $3)
    on conflict (worker_id) do update set seen_at = now()
)
select 1 + count(*) from workers where worker_id <> $1 and seen_at > now() - make_interval(secs => $4);

-- name: leave
-- A worker ends, and those that never said so are forgotten.
delete from workers where worker_id = $1 or seen_at < now() - interval '1 day';

-- name: alive
-- How many workers said of late that they are alive.
select count(*) from workers where seen_at > now() - make_interval(secs => $1);
