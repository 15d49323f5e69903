-- Erasures: people who are gone, and what is still to be found of them elsewhere. What it takes to find it is kept until
-- then; after that a row is a receipt, which holds no more of the person than keyed hashes of their identifiers.

-- `surrogates` are the numbers that stand for the people from now on, and `nonce` what makes the keys of their devices
-- into others: both are forgotten, so that nobody can tell any more who was meant. No transaction that began before
-- `asked_in` ended may still write of them.
create table erasures (
    workspace_id  bigint not null references workspaces,
    erasure_id    bigint generated always as identity,
    asked_by      text not null check (asked_by in ('api', 'dashboard', 'command line')),
    request_id    text not null default '',
    asked_at      timestamptz not null default now(),
    hashes        bytea[] not null,
    counts        jsonb not null default '{}', -- rows by kind
    done_at       timestamptz,
    person_ids    bigint[] default '{}',
    surrogates    bigint[] default '{}',
    device_ids    bytea[] default '{}',
    anonymous_ids text[] default '{}',
    names         jsonb default '[]', -- [{"id": …}, {"email": …}, {"cio_id": …}]
    nonce         bytea check (octet_length(nonce) = 32),
    asked_in      xid8 default pg_current_xact_id(),
    due_at        timestamptz not null default now(),
    claimed_until timestamptz,
    looks         integer not null default 0,
    failure       text, -- of the last look
    primary key (workspace_id, erasure_id),
    check (cardinality(person_ids) = cardinality(surrogates)),
    check ((done_at is null) = (nonce is not null)),
    check (done_at is null or num_nonnulls(person_ids, surrogates, device_ids, anonymous_ids, names, asked_in, failure) = 0)
);
create index erasures_to_do on erasures (workspace_id, erasure_id) where done_at is null;

-- The people of erasures that are under way, each with what stands for them.
create function erasing(workspace_id bigint, erasure_ids bigint[])
    returns table (erasure_id bigint, person_id bigint, surrogate bigint, nonce bytea, asked_at timestamptz)
    language sql stable parallel safe as $$
    select x.erasure_id, w.person_id, w.surrogate, x.nonce, x.asked_at
    from erasures x cross join lateral unnest(x.person_ids, x.surrogates) as w (person_id, surrogate)
    where x.workspace_id = erasing.workspace_id and x.erasure_id = any (erasing.erasure_ids) and x.done_at is null
$$;

-- What stands for the key of a device: the same wherever it stands. That of no device is the person's, of eight bytes.
create function erased_device(nonce bytea, device_id bytea, surrogate bigint) returns bytea
    language sql immutable parallel safe as $$
    select case octet_length(device_id)
        when 16 then substr(sha256(nonce || device_id), 1, 16)
        when 8 then int8send(surrogate)
        else ''::bytea
    end
$$;
