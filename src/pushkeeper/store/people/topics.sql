-- Subscription topics, from the choices of people.

-- name: preferences
-- The distinct choices of the newest people, and of a sample of all.
select distinct preferences
from (
    (select attributes -> 'cio_subscription_preferences' as preferences
    from people where workspace_id = $1 order by person_id desc limit $2)
    union all
    (select attributes -> 'cio_subscription_preferences'
    from people where workspace_id = $1 and hashint8(person_id) & 63 = 0 limit $2)
) p
where preferences is not null;
