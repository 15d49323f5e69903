-- Operation: what workers count of themselves, for whoever is asked for metrics.

-- A worker's own figures by series (metrics.py), each as it stands since the worker began. What adds up is kept when a worker
-- ends, under the id that nobody has: so that the sum over workers never goes back.
create table worker_figures (
    worker_id uuid not null,
    series    text not null,
    adds_up   boolean not null,
    value     float8 not null,
    primary key (worker_id, series)
) with (fillfactor = 70);
