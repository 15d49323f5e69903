-- Broadcasts that wait, are scheduled, throttled, paused and cancelled; and what came of pushes, counted as it is written.

-- A batch that is parked is nobody's to claim: a draft's, or a paused broadcast's. One that has a slot belongs to a
-- broadcast of a bounded rate, and may leave at that time.
alter table batches
    add column parked  boolean not null default false,
    add column slot_at timestamptz;
update batches set parked = true, due_at = now() where due_at > now() + interval '1000 years';
drop index batches_in_turn;
create index batches_in_turn on batches (workspace_id, priority, lane, due_at) where not parked;

-- What is `draft` waits for somebody to start it, what is `scheduled` for its hour. `passes` are the moments at which
-- parts of its audience are due (core/broadcasts/schedule.py), of which `pass` is the one at hand, due at `pass_at`; `saved` are
-- the saved audiences that its own names, as they were when planning began.
alter table broadcasts
    drop constraint broadcasts_state_check,
    drop constraint broadcasts_check1,
    add check (state in ('draft', 'scheduled', 'fetching', 'planning', 'planned', 'cancelled', 'failed')),
    add check (state <> 'planned' or planned_at is not null),
    add column name         text not null default '',
    add column unit         text not null default 'person' check (unit in ('device', 'person')),
    add column device_ids   bytea[],
    add column saved        jsonb,
    add column schedule     jsonb not null default '{}',
    add column passes       jsonb not null default '[]',
    add column pass         smallint not null default 0,
    add column pass_at      timestamptz,
    add column per_s        double precision check (per_s > 0),
    add column next_slot_at timestamptz,
    add column skip_without_permission boolean not null default false,
    add column one_per_phone           boolean not null default false,
    add column dry_run      boolean not null default false,
    add column once         text,
    add column asked        bytea check (octet_length(asked) = 32),
    add column preflight    jsonb,
    add column started_at   timestamptz,
    add column paused_at    timestamptz,
    add column cancelled_at timestamptz,
    add check ((state = 'cancelled') = (cancelled_at is not null)),
    add check ((once is null) = (asked is null));
update broadcasts set started_at = created_at, pass_at = created_at;
drop index broadcasts_to_plan;
create index broadcasts_to_plan on broadcasts (broadcast_id) where state in ('scheduled', 'fetching', 'planning');
create index broadcasts_of_workspace on broadcasts (workspace_id, broadcast_id);
create unique index broadcasts_once on broadcasts (workspace_id, once) where once is not null;

-- Whether a person wants no pushes at all (customer.io's `channels.push`), which may have been told as an object or as text.
create function push_is_off(attributes jsonb) returns boolean language sql immutable parallel safe as $$
    select case jsonb_typeof(attributes -> 'cio_subscription_preferences')
        when 'object' then attributes #> '{cio_subscription_preferences,channels,push}' = 'false'
        when 'string' then attributes ->> 'cio_subscription_preferences'
            ~ '"channels"\s*:\s*\{[^{}]*"push"\s*:\s*false\s*[,}]'
        else false
    end is true
$$;

-- Which devices of a person are the same phone, where that is known: by an id that the app gives it, or else by its model.
create function phone_of(attributes jsonb) returns text language sql immutable parallel safe as $$
    select coalesce('id ' || (attributes ->> 'phone_id'), 'model ' || (attributes ->> 'device_model'))
$$;

-- How long ago a device was used, in the steps by which acceptance is foreseen. Stable, as what it is made of, so that
-- it is put into the query that asks.
create function seen_step(last_used timestamptz, at timestamptz) returns smallint language sql stable parallel safe as $$
    select (case
        when last_used > at - interval '24 hours' then 0
        when last_used > at - interval '168 hours' then 1
        when last_used > at - interval '720 hours' then 2
        when last_used > at - interval '2160 hours' then 3
        when last_used > at - interval '6480 hours' then 4
        else 5
    end)::smallint
$$;

-- What came of pushes, counted by the very statement that writes them; what is counted stays when pushes are dropped.
-- Each connection adds to rows of its own (`shard`), so that workers do not wait for each other.
create table push_days (
    workspace_id    bigint not null,
    day             date not null,
    platform        text not null,
    seen            smallint not null,
    ending          text not null,
    reason          text not null,
    provider_reason text not null,
    shard           smallint not null,
    pushes          bigint not null,
    primary key (workspace_id, day, platform, seen, ending, reason, provider_reason, shard)
) with (fillfactor = 50);

create table bounce_days (
    workspace_id    bigint not null,
    day             date not null,
    platform        text not null,
    app             text not null,
    app_version     text not null,
    provider        text not null,
    provider_reason text not null,
    shard           smallint not null,
    pushes          bigint not null,
    primary key (workspace_id, day, platform, app, app_version, provider, provider_reason, shard)
) with (fillfactor = 50);

create table broadcast_tallies (
    message_id      uuid not null references messages on delete cascade,
    platform        text not null,
    ending          text not null,
    reason          text not null,
    provider_reason text not null,
    shard           smallint not null,
    pushes          bigint not null,
    last_at         timestamptz not null,
    primary key (message_id, platform, ending, reason, provider_reason, shard)
) with (fillfactor = 50);

create table broadcast_minutes (
    message_id uuid not null references messages on delete cascade,
    minute     timestamptz not null,
    ending     text not null,
    shard      smallint not null,
    pushes     bigint not null,
    primary key (message_id, minute, ending, shard)
) with (fillfactor = 50);

create function tally_pushes() returns trigger language plpgsql as $$
declare
    own constant smallint := pg_backend_pid() % 16;
    today constant date := now() at time zone 'utc';
begin
    with told as materialized (
        select n.workspace_id, n.message_id, coalesce(d.platform, '') as platform,
            seen_step(coalesce(d.last_used, '-infinity'), now()) as seen, n.ending, n.reason,
            case when n.provider_reason is null or n.ending = 'accepted' then '' else left(n.provider_reason, 100) end
                as provider_reason,
            count(*) as pushes
        from new n left join devices d on d.device_id = n.device_id
        group by 1, 2, 3, 4, 5, 6, 7
    ),
    days as (
        insert into push_days
        select workspace_id, today, platform, seen, ending, reason, provider_reason, own, sum(pushes)
        from told
        group by 1, 3, 4, 5, 6, 7
        order by 1, 2, 3, 4, 5, 6, 7
        on conflict (workspace_id, day, platform, seen, ending, reason, provider_reason, shard)
            do update set pushes = push_days.pushes + excluded.pushes
    ),
    broadcast as materialized (
        select t.* from told t join broadcasts b using (message_id)
    ),
    minutes as (
        insert into broadcast_minutes
        select message_id, date_trunc('minute', now()), ending, own, sum(pushes)
        from broadcast
        group by 1, 3
        order by 1, 3
        on conflict (message_id, minute, ending, shard)
            do update set pushes = broadcast_minutes.pushes + excluded.pushes
    )
    insert into broadcast_tallies
    select message_id, platform, ending, reason, provider_reason, own, sum(pushes), now()
    from broadcast
    group by 1, 2, 3, 4, 5
    order by 1, 2, 3, 4, 5
    on conflict (message_id, platform, ending, reason, provider_reason, shard) do update set
        pushes = broadcast_tallies.pushes + excluded.pushes,
        last_at = greatest(broadcast_tallies.last_at, excluded.last_at);

    if exists (select from new where ending = 'bounced') then
        insert into bounce_days
        select n.workspace_id, today, d.platform, left(d.app, 100),
            left(coalesce(d.attributes ->> 'app_version', ''), 40), coalesce(n.provider, ''),
            left(coalesce(n.provider_reason, ''), 100), own, count(*)
        from new n join devices d on d.device_id = n.device_id
        where n.ending = 'bounced'
        group by 1, 3, 4, 5, 6, 7
        order by 1, 3, 4, 5, 6, 7
        on conflict (workspace_id, day, platform, app, app_version, provider, provider_reason, shard)
            do update set pushes = bounce_days.pushes + excluded.pushes;
    end if;
    return null;
end $$;
create trigger tally_pushes after insert on pushes
    referencing new table as new for each statement execute function tally_pushes();

-- Pushes that were only tried are told of to nobody.
create or replace function tell_of_pushes() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks where not disabled) then
        insert into outbox (webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.webhook_id, 'push', m.metric, n.message_id, n.person_id,
            case when m.metric = 'undeliverable' then jsonb_build_object('failure_message', 'the person has no device')
            else jsonb_build_object('recipients', jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'device_id', coalesce(d.token, ''), 'device_platform', d.platform,
                'failure_message', case when m.metric <> 'sent' then
                    nullif(concat_ws(' ', n.reason, n.provider_status, n.provider_reason), '') end)))) end,
            max(n.settled_at)
        from new n
            cross join lateral (
                select push_metric(n.ending, n.reason) as metric
                union all select 'attempted' where n.attempts > 0
            ) m
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'push_' || m.metric = any (w.events)
            left join devices d on d.device_id = n.device_id
        where n.reason <> 'dry_run'
        group by w.webhook_id, m.metric, n.message_id, n.person_id;
    end if;
    return null;
end $$;
