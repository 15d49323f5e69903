-- Which push service can have issued an iPhone's token, by its shape: pushkeeper.core.model.token_shape is the same.

create function token_shape(platform text, token text) returns text language sql immutable parallel safe as $$
    select case
        when platform <> 'ios' then ''
        when token ~ '^[0-9A-Fa-f]+$' then 'apns'
        when position(':' in token) > 0 or token ~ '^[A-Za-z0-9_-]{22}$' then 'fcm'
        else ''
    end
$$;
