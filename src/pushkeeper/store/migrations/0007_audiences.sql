-- Filters over people and devices.

-- Why the last push that a provider refused was refused, kept when a later one is accepted.
alter table devices add column failure_reason text;
update devices d set failure_reason = (
    select h.provider_reason from device_history h
    where h.device_id = d.device_id and h.event = 'refused'
    order by h.at desc limit 1)
where d.status in ('bounced', 'suppressed');

-- What a value of JSON stands for when it is compared; core/filters/values.py says the same.
create function json_number(given jsonb) returns numeric language sql immutable parallel safe as $$
    select case jsonb_typeof(given)
        when 'number' then given::numeric
        when 'string' then case when given #>> '{}' ~ '^-?(0|[1-9][0-9]{0,14})([.][0-9]{1,15})?$'
            then (given #>> '{}')::numeric end
    end
$$;

create function json_version(given jsonb) returns bigint[] language sql immutable parallel safe as $$
    select string_to_array(regexp_replace(
        substring(case jsonb_typeof(given)
            when 'number' then trim_scale(given::numeric)::text
            when 'string' then given #>> '{}'
        end from '^v?([0-9]{1,9}(?:[.][0-9]{1,9}){0,5})(?![0-9.])'),
        '([.]0+)+$', ''), '.')::bigint[]
$$;

-- Immutable, as a text that names no time zone is one of UTC.
create function json_seconds(given jsonb) returns numeric language plpgsql immutable parallel safe as $$
declare
    said text := given #>> '{}';
    found numeric;
begin
    if jsonb_typeof(given) = 'number' then
        found := said::numeric;
    elsif jsonb_typeof(given) <> 'string' then
        return null;
    elsif said ~ '^[0-9]{1,12}$' then
        found := said::numeric;
    elsif said ~ ('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?'
        '(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])?)?$') and said >= '0001' then
        said := said || case
            when length(said) = 10 then 'T00:00:00Z'
            when substr(said, 11) ~ '(Z|[+-][0-9]{2}:?[0-9]{2})$' then ''
            else 'Z'
        end;
        -- Only a day that its month does not have can be wrong now; PostgreSQL 15 cannot be asked without an error.
        if substr(said, 9, 2)::int <= extract(day from (substr(said, 1, 8) || '01')::date + interval '1 month - 1 day') then
            found := extract(epoch from said::timestamptz);
        end if;
    end if;
    return case when found between 0 and 253402300799 then found end;
end
$$;
