-- Workers: who sends now, and what they count.

-- name: beat
-- A worker is alive; answers with how many are, and whether this one was not known.
with me as (
    insert into workers (worker_id, host, pid) values ($1, $2, $3)
    on conflict (worker_id) do update set seen_at = now()
    returning xmax = 0 as new
)
select me.new, 1 + (
    select count(*) from workers where worker_id <> $1 and seen_at > now() - make_interval(secs => $4)) as alive
from me;

-- name: figures
-- Upsert a worker's metrics.
insert into worker_figures (worker_id, series, adds_up, value)
select $1, * from unnest($2::text[], $3::boolean[], $4::float8[])
on conflict (worker_id, series) do update set value = excluded.value;

-- name: leave
-- A worker ends, and those that never said so are forgotten.
delete from workers where worker_id = $1 or seen_at < now() - interval '1 day';

-- name: inherit
-- What adds up of the figures of workers that are no more is kept under the id that nobody has.
with theirs as (
    delete from worker_figures f
    where f.worker_id <> '00000000-0000-0000-0000-000000000000'
        and not exists (select from workers w where w.worker_id = f.worker_id)
    returning f.series, f.adds_up, f.value
)
insert into worker_figures (worker_id, series, adds_up, value)
select '00000000-0000-0000-0000-000000000000', series, true, sum(value)
from theirs
where adds_up
group by series
order by series
on conflict (worker_id, series) do update set value = worker_figures.value + excluded.value;

-- name: all_figures
-- The sum of each series: of all workers there ever were where it adds up, else of those that are alive.
select f.series, sum(f.value) as value
from worker_figures f left join workers w using (worker_id)
where f.adds_up or w.seen_at > now() - make_interval(secs => $1)
group by f.series;

-- name: alive
-- The number of workers with a heartbeat in the last seconds.
select count(*) from workers where seen_at > now() - make_interval(secs => $1);
