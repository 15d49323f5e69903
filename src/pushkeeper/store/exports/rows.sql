-- Rows of exports, whose values are all text. Each is one statement, so that what is exported is as it was at one moment.
-- Of the joins, those that no column and no condition asks for are left out by the server.

-- name: devices
-- Devices of which a condition (store/audiences/filter_sql.py) is true.
select {columns}
from devices d
    left join people p on p.workspace_id = d.workspace_id and p.person_id = d.person_id
    left join identifiers i on i.workspace_id = d.workspace_id and i.person_id = d.person_id and i.kind = 'id'
    left join identifiers e on e.workspace_id = d.workspace_id and e.person_id = d.person_id and e.kind = 'email'
where d.workspace_id = $1 and {condition};

-- name: people
-- People who match a condition.
select {columns}
from people p
    left join identifiers i on i.workspace_id = p.workspace_id and i.person_id = p.person_id and i.kind = 'id'
    left join identifiers e on e.workspace_id = p.workspace_id and e.person_id = p.person_id and e.kind = 'email'
where p.workspace_id = $1 and {condition};

-- name: history
-- What happened to devices in a time. A condition is about the device as it is now: of one that is gone it is not true.
select {columns}
from device_history h
    left join devices d on d.workspace_id = h.workspace_id and d.device_id = h.device_id
    left join people p on p.workspace_id = d.workspace_id and p.person_id = d.person_id
where h.workspace_id = $1 and h.at >= $2 and h.at < $3 and {condition};

-- name: pushes
-- Pushes whose outcome was known in a time, to the people that got them.
select {columns}
from pushes s
    join messages m on m.workspace_id = s.workspace_id and m.message_id = s.message_id
    left join people p on p.workspace_id = s.workspace_id and p.person_id = s.person_id
    left join devices d on d.workspace_id = s.workspace_id and d.device_id = s.device_id and d.person_id = s.person_id
    left join identifiers i on i.workspace_id = s.workspace_id and i.person_id = s.person_id and i.kind = 'id'
    left join identifiers e on e.workspace_id = s.workspace_id and e.person_id = s.person_id and e.kind = 'email'
where s.workspace_id = $1 and s.settled_at >= $2 and s.settled_at < $3
    and s.message_day <= ($3 at time zone 'utc')::date and {condition};
