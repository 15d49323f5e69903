-- The ledger of devices: each line says how many strikes there are by it and on which route it happened, and can be undone.

alter table device_history
    add column strikes   smallint,
    add column route_id  bigint,
    add column undone_by bigint,
    drop constraint device_history_event_check,
    add constraint device_history_event_check check (event in
        ('registered', 'refreshed', 'moved', 'accepted', 'refused', 'refused_as_stale', 'deleted', 'undone'));
-- Lines are written in the order of their time, so that a range of that is found by a few bytes a megabyte.
create index device_history_by_time on device_history using brin (at) with (pages_per_range = 32);

-- What was undone, and why: each changed device has its line in the history too.
create table undos (
    undo_id      bigint generated always as identity primary key,
    workspace_id bigint not null references workspaces,
    selection    jsonb not null,
    why          text not null,
    strikes      bigint not null default 0,
    devices      bigint not null default 0,
    created_at   timestamptz not null default now(),
    finished_at  timestamptz
);
create index undos_of_workspace on undos (workspace_id, undo_id);

create or replace function tell_of_devices() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks where not disabled) then
        insert into outbox (webhook_id, object_type, metric, message_id, person_id, data, happened_at)
        select w.webhook_id, 'device', m.metric, n.message_id, coalesce(n.to_person_id, n.from_person_id),
            jsonb_strip_nulls(jsonb_build_object('device_id', coalesce(d.token, ''), 'device_platform', d.platform,
                'from_status', n.from_status, 'to_status', n.to_status, 'provider', n.provider,
                'provider_status', n.provider_status, 'provider_reason', n.provider_reason)),
            n.at
        from new n
            cross join lateral (
                select case
                    when n.event = 'registered' then 'registered'
                    when n.event = 'moved' then 'moved'
                    when n.event = 'deleted' then 'deleted'
                    when n.event = 'refreshed' and n.to_status = '' then 'revived'
                    when n.event = 'undone' and n.to_status in ('', 'sent') then 'revived'
                    when n.event in ('refused', 'refused_as_stale', 'undone') and n.to_status <> n.from_status
                        then n.to_status
                    end as metric
            ) m
            join webhooks w on w.workspace_id = n.workspace_id and not w.disabled and 'device_' || m.metric = any (w.events)
            left join devices d on d.device_id = n.device_id;
    end if;
    return null;
end $$;
