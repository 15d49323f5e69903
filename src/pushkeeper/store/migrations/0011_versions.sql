-- Versions in filters are read of a million devices in a second: by one look for the usual form, where a pattern that
-- counts digits and looks ahead took ten times as long. Zeros at the end stay; whoever compares minds them.

-- The version at the start of a text, or that a number spells.
create or replace function json_version(given jsonb) returns bigint[] language plpgsql immutable parallel safe as $$
declare
    said text := case jsonb_typeof(given)
        when 'number' then trim_scale(given::numeric)::text
        when 'string' then given #>> '{}'
    end;
    parts text[];
begin
    said := substring(said from '^v?([0-9.]+)');
    if said is null or said ~ '^[.]|[.]$|[.][.]|[0-9]{10}' then
        return null;
    end if;
    parts := string_to_array(said, '.');
    return case when cardinality(parts) <= 6 then parts::bigint[] end;
end $$;

-- The version that an attribute is. One of three parts or more is no number, and in thirteen characters none of its parts
-- has more than nine digits.
create function attribute_version(attributes jsonb, name text) returns bigint[] language sql immutable parallel safe as $$
    select case
        when length(attributes ->> name) < 14 and (attributes ->> name) ~ '^[0-9]+[.][0-9]+[.][0-9]+([.][0-9]+)*$'
            then string_to_array(attributes ->> name, '.')::bigint[]
        else json_version(attributes -> name)
    end
$$;
