-- Changes of attributes are ordered by their own times: what is older than what is there comes too late.

-- Whether a change comes too late, by when the attribute was last set or removed; both in unix seconds. A time without a
-- fraction may be any of its second, so that such a change is not late within it.
create function is_late(at jsonb, former jsonb) returns boolean language sql immutable parallel safe as $$
    select at::numeric < former::numeric and at::numeric <> trunc(former::numeric)
$$;

-- An entry of somebody's subscription preferences, by its dotted name.
create function preference(attributes jsonb, name text) returns jsonb language sql immutable parallel safe as $$
    select attributes -> 'cio_subscription_preferences' -> split_part(name, '.', 2)
        -> substr(name, length('cio_subscription_preferences..') + length(split_part(name, '.', 2)) + 1)
$$;

-- Preferences with these entries, by their dotted names, set; null removes one.
create function with_preferences(present jsonb, entries jsonb) returns jsonb language sql immutable parallel safe as $$
    select jsonb_strip_nulls(p.present || jsonb_object_agg(g.name,
        case jsonb_typeof(p.present -> g.name) when 'object' then p.present -> g.name else '{}' end || g.entries))
    from (select case jsonb_typeof(present) when 'object' then present else '{}' end as present) p,
        (
            select split_part(e.key, '.', 2) as name, jsonb_object_agg(
                substr(e.key, length('cio_subscription_preferences..') + length(split_part(e.key, '.', 2)) + 1), e.value)
                as entries
            from jsonb_each(entries) e
            group by 1
        ) g
    group by p.present
$$;

-- Attributes with entries of preferences set, and the times of both. Of the times of a change, those of what came too late
-- are left out already, save those of entries that are older than the whole. Where the whole is set, later entries stay.
create function merged_preferences(had jsonb, had_at jsonb, attributes jsonb, times jsonb, entries jsonb)
    returns jsonb[] language sql immutable parallel safe as $$
    with entry as (
        select e.key, e.value, times -> e.key as at, false as replaced
        from jsonb_each(entries) e
        where times ? e.key and is_late(times -> e.key, had_at -> 'cio_subscription_preferences') is not true
        union all
        select t.key, coalesce(preference(had, t.key), 'null'), null, not is_late(times -> 'cio_subscription_preferences', t.value)
        from jsonb_each(case when times ? 'cio_subscription_preferences' then had_at else '{}' end) t
        where t.key ~ '^cio_subscription_preferences[.][^.]+[.].'
    ),
    found as (
        select coalesce(jsonb_object_agg(key, value) filter (where not replaced), '{}') as kept,
            coalesce(jsonb_object_agg(key, at) filter (where at is not null), '{}') as kept_at,
            coalesce(array_agg(key) filter (where replaced), '{}') as gone
        from entry
    )
    select array[
        case when f.kept = '{}' then attributes else attributes || jsonb_build_object('cio_subscription_preferences',
            with_preferences(attributes -> 'cio_subscription_preferences', f.kept)) end,
        (had_at - f.gone) || (times - array(select jsonb_object_keys(entries))) || f.kept_at]
    from found f
$$;

-- Identifiers that calls would have given people: `owner_id` has them, or the person has another (`former`). They go with
-- either of the two.
create table failed_changes (
    workspace_id bigint not null,
    failed_id    bigint generated always as identity,
    person_id    bigint not null,
    owner_id     bigint,
    name         text not null check (name in ('id', 'email')),
    value        text not null,
    former       text,
    failed_at    timestamptz not null default now(),
    primary key (workspace_id, failed_id),
    foreign key (workspace_id, person_id) references people on delete cascade,
    foreign key (workspace_id, owner_id) references people on delete cascade
);
create index failed_changes_of_person on failed_changes (workspace_id, person_id, failed_at);
create index failed_changes_of_owner on failed_changes (workspace_id, owner_id) where owner_id is not null;
create index failed_changes_by_age on failed_changes (workspace_id, failed_at);
