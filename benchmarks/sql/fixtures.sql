-- A workspace as one is after years: people with attributes, devices of all ages and statuses, and what happened to them.
-- Everything follows from a number, so that each run is about the same workspace.

-- name: partitions
-- Places for the days and months that lie behind.
do $$
declare
    day date;
    month date;
    parent text;
begin
    for n in 0..95 loop
        day := (now() at time zone 'utc')::date - n;
        execute format('create table if not exists pushes_%s partition of pushes for values from (%L) to (%L)',
            to_char(day, 'YYYYMMDD'), day, day + 1);
    end loop;
    for n in 0..24 loop
        month := date_trunc('month', (now() at time zone 'utc') - make_interval(months => n));
        foreach parent in array array['device_history', 'events'] loop
            begin
                execute format('create table if not exists %I partition of %I for values from (%L) to (%L)',
                    parent || to_char(month, '_YYYYMM'), parent, month || ' 00:00+00',
                    (month + interval '1 month')::date || ' 00:00+00');
            exception when invalid_object_definition then
                null; -- somebody has made a larger place for it
            end;
        end loop;
    end loop;
end $$;

-- name: part
-- A number from 0 to 999 for each number and purpose, the same each time.
create or replace function pg_temp.part(n bigint, purpose int) returns int language sql immutable parallel safe as $$
    select (hashint8extended(n, purpose) & 1048575)::int % 1000
$$;

-- name: people
-- People of these numbers.
with made as (
    insert into people (workspace_id, attributes, unsubscribed, created_at)
    select $1,
        jsonb_build_object(
            'n', n,
            'plan', case when pg_temp.part(n, 1) < 700 then 'free' when pg_temp.part(n, 1) < 900 then 'plus' else 'pro' end,
            'city', (array['Berlin', 'Paris', 'Madrid', 'Rome', 'Vienna', 'Oslo', 'Lima', 'Osaka', 'Delhi', 'Accra'])
                [1 + pg_temp.part(n, 2) % 10],
            'visits', pg_temp.part(n, 3),
            'language', (array['de', 'fr', 'es', 'it', 'en'])[1 + pg_temp.part(n, 4) % 5],
            'timezone', (array['Europe/Berlin', 'Europe/Madrid', 'America/New_York', 'Asia/Tokyo', 'Pacific/Auckland'])
                [1 + pg_temp.part(n, 2) % 5]),
        pg_temp.part(n, 5) < 40,
        now() - make_interval(days => 1 + pg_temp.part(n, 6))
    from generate_series($2::bigint, $3::bigint) n
    returning person_id, workspace_id, attributes ->> 'n' as n
)
insert into identifiers (workspace_id, kind, key, value, person_id)
select workspace_id, kind, value, value, person_id
from made cross join lateral (values ('id', n), ('email', 'p' || n || '@example.com')) i (kind, value);

-- name: devices
-- Devices of these numbers, for people of the numbers up to $4: the first of each person, then the others of some.
insert into devices (device_id, workspace_id, person_id, token, platform, app, attributes, status, strikes, failure_reason,
    created_at, registered_at, last_used)
select token_device($1, t.token), $1, i.person_id, t.token, t.platform, '',
    jsonb_build_object(
        'app_version', (array['3.9.1', '4.0.0', '4.1.2', '4.2.0', '4.10.0'])[1 + pg_temp.part(n, 11) % 5],
        'device_os', case t.platform when 'ios' then 15 + pg_temp.part(n, 12) % 5 else 11 + pg_temp.part(n, 12) % 6 end,
        'device_model', case t.platform when 'ios' then 'iPhone ' || 11 + pg_temp.part(n, 13) % 7
            else 'Pixel ' || 5 + pg_temp.part(n, 13) % 6 end,
        'push_enabled', case when pg_temp.part(n, 14) < 880 then 'true' else 'false' end),
    t.status, case t.status when 'bounced' then 1 when 'suppressed' then 2 else 0 end,
    case when t.status in ('bounced', 'suppressed')
        then case t.platform when 'ios' then 'Unregistered' else 'UNREGISTERED' end end,
    now() - make_interval(days => 1 + t.age_days), now() - make_interval(days => 1 + t.age_days),
    now() - make_interval(days => t.age_days, secs => pg_temp.part(n, 15) * 60)
from generate_series($2::bigint, $3::bigint) n
cross join lateral (
    select case when n <= $4 then n else n * 7919 % $4 + 1 end as owner,
        -- As long as those of APNs and FCM are, and to be known from the number alone.
        case when n % 20 < 9 then md5(n::text) || md5('token ' || n)
            else left(md5(n::text), 22) || ':APA91b' || left(repeat(md5('token ' || n), 5), 134) end as token,
        case when n % 20 < 9 then 'ios' else 'android' end as platform,
        -- Most were used lately; one in ten not for a quarter of a year.
        (power(pg_temp.part(n, 17) / 1000.0, 4) * 360)::int as age_days,
        case when pg_temp.part(n, 18) < 60 + power(pg_temp.part(n, 17) / 1000.0, 4) * 500 then 'suppressed'
            when pg_temp.part(n, 19) < 20 then 'bounced'
            when pg_temp.part(n, 20) < 60 then ''
            else 'sent' end as status
) t
join identifiers i on i.workspace_id = $1 and i.kind = 'id' and i.key = t.owner::text;

-- name: history
-- What made the devices what they are: registered, accepted, and refused once or twice.
insert into device_history (at, workspace_id, device_id, event, from_status, to_status, from_person_id, to_person_id,
    generation, provider, provider_status, provider_reason)
select d.created_at + s.step * interval '1 hour', d.workspace_id, d.device_id, s.event, s.from_status, s.to_status,
    case when s.step > 0 then d.person_id end, d.person_id, d.generation,
    case when s.step > 0 then p.provider end,
    case when s.event = 'accepted' then 200 when s.event = 'refused' then p.gone end,
    case when s.event = 'refused' then d.failure_reason end
from devices d
cross join lateral (
    select case d.platform when 'ios' then 'apns' else 'fcm' end as provider,
        case d.platform when 'ios' then 410 else 404 end as gone
) p
join (values
    (0, 'registered', null, '', array['', 'sent', 'bounced', 'suppressed']),
    (1, 'accepted', '', 'sent', array['sent', 'bounced', 'suppressed']),
    (2, 'refused', 'sent', 'bounced', array['bounced', 'suppressed']),
    (3, 'refused', 'bounced', 'suppressed', array['suppressed'])
) s (step, event, from_status, to_status, of) on d.status = any (s.of)
where d.workspace_id = $1;

-- name: messages
-- One broadcast for each of the last $2 days.
insert into messages (message_id, workspace_id, kind, content, send_to_unsubscribed, created_at, send_at, expires_at)
select encode(substr(int8send((extract(epoch from t.at) * 1000)::bigint), 3) || '\x7000'::bytea
        || '\x80'::bytea || substr(sha256(int8send($1) || int8send(n)), 1, 7), 'hex')::uuid,
    $1, 'broadcast', '{"title": "The news of the day", "message": "There is some"}', true, t.at, t.at, t.at + interval '28 days'
from generate_series(1, $2::int) n
cross join lateral (
    select date_trunc('milliseconds', now() - make_interval(days => n) + interval '1 hour') as at) t
returning message_id, created_at;

-- name: pushes
-- The pushes of one broadcast, to $4 in a thousand of the devices that were there.
insert into pushes (message_day, message_id, device_id, workspace_id, person_id, generation, ending, reason, provider,
    provider_status, provider_reason, attempts, settled_at)
select ($3::timestamptz at time zone 'utc')::date, $2, d.device_id, d.workspace_id, d.person_id, d.generation, e.ending,
    case e.ending when 'skipped' then 'suppressed' when 'accepted' then ''
        else case d.platform when 'ios' then 'apns_unregistered' else 'fcm_unregistered' end end,
    case when e.ending <> 'skipped' then case d.platform when 'ios' then 'apns' else 'fcm' end end,
    case e.ending when 'accepted' then 200 when 'bounced' then case d.platform when 'ios' then 410 else 404 end end,
    case when e.ending = 'bounced' then d.failure_reason end,
    case when e.ending = 'skipped' then 0 else 1 end, $3::timestamptz + interval '5 minutes'
from devices d
cross join lateral (
    select case d.status when 'suppressed' then 'skipped' when 'bounced' then 'bounced' else 'accepted' end as ending) e
where d.workspace_id = $1 and get_byte(d.device_id, 0) * 256 + get_byte(d.device_id, 1) < 65536 * ($4::float8 / 1000)
    and d.created_at < $3;

-- name: days
-- What was counted just now was of the day of that broadcast.
with pushes_of as (
    update push_days set day = ($2::timestamptz at time zone 'utc')::date
    where workspace_id = $1 and day = (now() at time zone 'utc')::date
)
update bounce_days set day = ($2::timestamptz at time zone 'utc')::date
where workspace_id = $1 and day = (now() at time zone 'utc')::date;

-- name: events
-- What people did in the last ninety days.
insert into events (received_at, workspace_id, person_id, kind, name, data, happened_at)
select t.at, $1, i.person_id, 'event',
    (array['bought', 'looked', 'left', 'came back'])[1 + pg_temp.part(n, 32) % 4],
    jsonb_build_object('price', pg_temp.part(n, 33)), t.at
from generate_series(1, $2::bigint) n
cross join lateral (select now() - make_interval(days => pg_temp.part(n, 34) % 90) as at) t
join identifiers i on i.workspace_id = $1 and i.kind = 'id' and i.key = (n * 104729 % $3 + 1)::text;

-- name: members
-- A manual segment of one person in twenty.
with made as (
    insert into segments (workspace_id, name) values ($1, 'One in twenty') returning segment_id
)
insert into segment_members (workspace_id, segment_id, person_id)
select $1::bigint, m.segment_id, i.person_id from made m, identifiers i
where i.workspace_id = $1 and i.kind = 'id' and i.key::bigint % 20 = 0
returning segment_id;
