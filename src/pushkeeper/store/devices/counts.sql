-- How many devices there are.

-- name: counts
-- Devices by platform and last status.
select platform, status, count(*) as devices
from devices
where workspace_id = $1
group by platform, status
order by platform, status;

-- name: by_vapid_key
-- How many browsers subscribed with each VAPID key of a workspace.
select vapid_key, count(*)::bigint as devices
from devices
where workspace_id = $1 and vapid_key is not null
group by vapid_key;
