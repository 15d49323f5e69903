-- Engagement: what apps report of broadcasts, counted as it comes in, so that a page of broadcasts reads a few rows of each.

create table broadcast_engagement (
    workspace_id bigint not null,
    message_id   uuid not null,
    platform     text not null, -- of the device that reported; '' where it named none
    metric       text not null,
    shard        smallint not null,
    devices      bigint not null,
    primary key (workspace_id, message_id, platform, metric, shard),
    foreign key (workspace_id, message_id) references messages on delete cascade
) with (fillfactor = 50);

-- After reports of apps are written: counted by broadcast and platform, in the same transaction. A report without a device
-- and one with a device of the same person are one. Each connection adds to rows of its own (`shard`).
create or replace function tally_reports() returns trigger language plpgsql as $$
begin
    insert into broadcast_engagement (workspace_id, message_id, platform, metric, shard, devices)
    select n.workspace_id, n.message_id, coalesce(d.platform, ''), n.metric, (pg_backend_pid() % 16)::smallint, count(*)
    from new n
        join broadcasts b on b.workspace_id = n.workspace_id and b.message_id = n.message_id
        left join devices d on d.workspace_id = n.workspace_id and d.device_id = n.device_id
    where not exists (
        select from reports r
        where (r.workspace_id, r.message_id, r.person_id, r.metric)
                = (n.workspace_id, n.message_id, n.person_id, n.metric)
            and r.device_id <> n.device_id
            and (n.device_id = '' or r.device_id = '' and not exists (
                select from new o
                where (o.workspace_id, o.message_id, o.person_id, o.metric, o.device_id)
                    = (r.workspace_id, r.message_id, r.person_id, r.metric, r.device_id))))
    group by 1, 2, 3, 4
    order by 1, 2, 3, 4
    on conflict (workspace_id, message_id, platform, metric, shard)
        do update set devices = broadcast_engagement.devices + excluded.devices;
    return null;
end $$;
create trigger tally_reports after insert on reports
    referencing new table as new for each statement execute function tally_reports();

-- What was reported before: of a person who reported with and without a device, the devices count.
insert into broadcast_engagement (workspace_id, message_id, platform, metric, shard, devices)
select r.workspace_id, r.message_id, coalesce(d.platform, ''), r.metric, 0, count(*)
from reports r
    join broadcasts b on b.workspace_id = r.workspace_id and b.message_id = r.message_id
    left join devices d on d.workspace_id = r.workspace_id and d.device_id = r.device_id
where r.device_id <> '' or not exists (
    select from reports o
    where (o.workspace_id, o.message_id, o.person_id, o.metric) = (r.workspace_id, r.message_id, r.person_id, r.metric)
        and o.device_id <> '')
group by 1, 2, 3, 4;
