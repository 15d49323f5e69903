-- What reports are made of: by which route a push went, refusals by route, and counts that take their time.

alter table pushes add column route_id bigint;

-- A route's name is kept, as the route may be gone when somebody asks.
alter table bounce_days add column route text not null default '';
alter table bounce_days drop constraint bounce_days_pkey;
alter table bounce_days add primary key (workspace_id, day, platform, app, app_version, route, provider, provider_reason, shard);

create function route_name(wanted bigint) returns text language sql stable parallel safe as $$
    select concat_ws(':', c.provider, case when c.provider = 'apns' then c.environment end, c.app, nullif(r.leg, ''))
    from routes r join credentials c using (credential_id)
    where r.route_id = wanted
$$;

create or replace function tally_pushes() returns trigger language plpgsql as $$
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
        insert into bounce_days (workspace_id, day, platform, app, app_version, route, provider, provider_reason, shard,
            pushes)
        select n.workspace_id, today, d.platform, left(d.app, 100),
            left(coalesce(d.attributes ->> 'app_version', ''), 40), coalesce(t.name, ''), coalesce(n.provider, ''),
            left(coalesce(n.provider_reason, ''), 100), own, count(*)
        from new n
        join devices d on d.device_id = n.device_id
        left join (
            select route_id, route_name(route_id) as name
            from (select distinct route_id from new where ending = 'bounced') o
        ) t using (route_id)
        where n.ending = 'bounced'
        group by 1, 3, 4, 5, 6, 7, 8
        order by 1, 3, 4, 5, 6, 7, 8
        on conflict (workspace_id, day, platform, app, app_version, route, provider, provider_reason, shard)
            do update set pushes = bounce_days.pushes + excluded.pushes;
    end if;
    return null;
end $$;

-- Counts over all devices, as they were last made, in `took_ms`; `asked_at` says that somebody looked when they were old.
create table insights (
    workspace_id bigint not null references workspaces on delete cascade,
    name         text not null check (name in ('cohorts', 'revivals', 'tokens')),
    counted_at   timestamptz,
    took_ms      integer not null default 0,
    asked_at     timestamptz,
    found        jsonb not null default '[]',
    primary key (workspace_id, name)
);
