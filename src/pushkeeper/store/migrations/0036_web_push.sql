-- Web Push: a browser's device has the sealed keys of its subscription and the id of the VAPID key that it subscribed with; its
-- credentials are VAPID keys, and each push service is a route of its own.

alter table credentials
    drop constraint credentials_provider_check,
    add constraint credentials_provider_check check (provider in ('apns', 'fcm', 'webpush')),
    drop constraint credentials_kind_check,
    add constraint credentials_kind_check check (kind in ('service_account', 'key', 'certificate', 'vapid')),
    add check ((provider = 'webpush') = (kind = 'vapid'));

alter table routes
    drop constraint routes_leg_check,
    add constraint routes_leg_check check (leg in ('', 'apple', 'google', 'mozilla', 'microsoft', 'other'));

alter table devices
    add column browser_keys bytea,
    add column vapid_key text;

-- How many browsers are still on a former key is asked by credential, of browsers alone.
create index devices_by_vapid_key on devices (workspace_id, vapid_key) where vapid_key is not null;

create or replace function token_shape(platform text, token text) returns text language sql immutable parallel safe as $$
    select case
        when platform = 'web' then case
            when token ~ '^https://fcm\.googleapis\.com/' then 'google'
            when token ~ '^https://[a-z0-9.-]+\.push\.services\.mozilla\.com/' then 'mozilla'
            when token ~ '^https://[a-z0-9.-]+\.push\.apple\.com/' then 'apple'
            when token ~ '^https://[a-z0-9.-]+\.notify\.windows\.com/' then 'microsoft'
            else 'other' end
        when platform <> 'ios' then ''
        when token ~ '^[0-9A-Fa-f]+$' then 'apns'
        when position(':' in token) > 0 or token ~ '^[A-Za-z0-9_-]{22}$' then 'fcm'
        else ''
    end
$$;

-- The id of the VAPID key that a browser subscribes with now: that of its app's credentials, or of the only ones that there are.
create or replace function current_vapid_key(workspace_id bigint, app text) returns text language sql stable parallel safe as $$
    select min(c.facts ->> 'key_id')
    from credentials c
    where c.workspace_id = current_vapid_key.workspace_id and c.provider = 'webpush' and current_vapid_key.app in ('', c.app)
    having count(*) = 1
$$;
