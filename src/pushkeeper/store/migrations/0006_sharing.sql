-- A token that several people may have, where a workspace chooses that.

alter table workspaces
    add column token_ownership text not null default 'move' check (token_ownership in ('move', 'share'));

-- Of a shared token each person has a device of their own, whose key holds them too.
alter table devices add column shared boolean not null default false;
create index devices_by_shared_token on devices (workspace_id, md5(token)) where shared;

create function token_device(workspace_id bigint, token text) returns bytea
    language sql immutable parallel safe
    as $$ select substr(sha256(int8send(workspace_id) || convert_to(token, 'UTF8')), 1, 16) $$;

create function shared_device(device_id bytea, person_id bigint) returns bytea
    language sql immutable parallel safe as $$ select substr(sha256(device_id || int8send(person_id)), 1, 16) $$;

-- A person's device where tokens are shared; one that they had before that was chosen stays what it is.
create function own_device(key bytea, person_id bigint) returns bytea language sql stable parallel safe as $$
    select case when exists (select from devices d where d.device_id = key and d.person_id = own_device.person_id)
        then key else shared_device(key, person_id) end
$$;

-- A broadcast that one page of cannot be planned is tried again later, and others go on meanwhile.
alter table broadcasts
    add column plan_failures smallint not null default 0,
    add column plan_after    timestamptz not null default now();
