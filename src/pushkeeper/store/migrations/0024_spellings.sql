-- Tokens in one spelling, and ids that are a program's placeholder for a missing value.

-- The same as `canonical` of core/devices/tokens.py. What most tokens are is found out at their first characters: it is asked at
-- every registration, by the index below.
create function canonical_token(token text) returns text language sql immutable parallel safe as $$
    select case
        when token collate "C" ~ '^[0-9a-f]+$' then token
        when token collate "C" !~ '[^0-9A-Fa-f \t\n\v\f\r<>-]'
            and length(translate(token, E' \t\n\x0b\f\r<>-', '')) >= 64
            and length(translate(token, E' \t\n\x0b\f\r<>-', '')) % 2 = 0
            then lower(translate(token, E' \t\n\x0b\f\r<>-', '') collate "C")
        else btrim(token, E' \t\n\x0b\f\r')
    end
$$;

-- Devices that an older release registered by another spelling, by the key that they should have. They are merged page by
-- page (store/devices/spellings.py), when a process starts and by workers: the release before may still write some.
create index devices_in_other_spelling on devices (workspace_id, token_device(workspace_id, canonical_token(token)))
    where token <> canonical_token(token);

alter table device_history
    drop constraint device_history_event_check,
    add constraint device_history_event_check check (event in
        ('registered', 'refreshed', 'moved', 'accepted', 'refused', 'refused_as_stale', 'deleted', 'undone', 'merged'));

-- Of a device that nobody has yet, the newest registration counts; one that somebody registered after that is theirs.
with spelled as (
    delete from anonymous_devices a
    where a.registration #>> '{token,value}' <> canonical_token(a.registration #>> '{token,value}')
    returning a.workspace_id, a.anonymous_id, a.told_at,
        token_device(a.workspace_id, canonical_token(a.registration #>> '{token,value}')) as device_id,
        jsonb_set(a.registration, '{token,value}', to_jsonb(canonical_token(a.registration #>> '{token,value}'))) as registration
)
insert into anonymous_devices (workspace_id, device_id, anonymous_id, registration, told_at)
select distinct on (s.workspace_id, s.device_id) s.workspace_id, s.device_id, s.anonymous_id, s.registration, s.told_at
from spelled s
where not exists (
    select from devices d
    where d.workspace_id = s.workspace_id and d.device_id = s.device_id and d.registered_at >= s.told_at)
order by s.workspace_id, s.device_id, s.told_at desc
on conflict (workspace_id, device_id) do update set
    anonymous_id = excluded.anonymous_id,
    registration = excluded.registration,
    told_at = excluded.told_at
where excluded.told_at > anonymous_devices.told_at;

alter table workspaces add column allow_placeholder_ids boolean not null default false;
