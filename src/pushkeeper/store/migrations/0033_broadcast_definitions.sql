-- Broadcasts: what one says is its own and may be changed until it is started; its message is made, and given its id, when it
-- begins, and keeps that id.

-- What is changed by two is refused to the second, who had another version before them.
alter table broadcasts
    add column version             integer not null default 1,
    add column content             jsonb not null default '{}',
    add column wording             jsonb,
    add column send_to_unsubscribed boolean not null default false,
    alter column message_id drop not null;
update broadcasts b set content = m.content, wording = m.wording, send_to_unsubscribed = m.send_to_unsubscribed
from messages m where m.workspace_id = b.workspace_id and m.message_id = b.message_id;

-- People are named for a broadcast, which may have no message yet.
alter table message_people add column broadcast_id bigint;
update message_people p set broadcast_id = b.broadcast_id
from broadcasts b where b.workspace_id = p.workspace_id and b.message_id = p.message_id;
delete from message_people where broadcast_id is null;
alter table message_people
    drop constraint message_people_pkey,
    drop column message_id,
    add primary key (workspace_id, broadcast_id, person_id),
    add foreign key (workspace_id, broadcast_id) references broadcasts on delete cascade;
alter table message_people rename to broadcast_people;

-- The messages of broadcasts that have not begun were their drafts; the day of such an id may be over when it is sent.
with unbegun as materialized (
    select workspace_id, broadcast_id, message_id from broadcasts
    where state in ('draft', 'scheduled', 'fetching') or (state = 'planning' and saved is null)
),
freed as (
    update broadcasts b set message_id = null from unbegun u
    where b.workspace_id = u.workspace_id and b.broadcast_id = u.broadcast_id
)
delete from messages m using unbegun u where m.workspace_id = u.workspace_id and m.message_id = u.message_id;

alter table broadcasts add check (saved is null or message_id is not null);
create function keep_message_id() returns trigger language plpgsql as $$
begin
    raise exception 'the message of broadcast % keeps its id', old.broadcast_id using errcode = 'integrity_constraint_violation';
end $$;
create trigger keep_message_id before update of message_id on broadcasts
    for each row when (old.message_id is not null and new.message_id is distinct from old.message_id)
    execute function keep_message_id();

-- Estimates of what to expect of a broadcast, made by workers; the figures are kept with the broadcast (`preflight`).
create table broadcast_estimates (
    workspace_id    bigint not null references workspaces,
    broadcast_id    bigint not null,
    state           text not null default 'pending' check (state in ('pending', 'done', 'failed')),
    failure         text,
    asked_at        timestamptz not null default now(),
    attempts        integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    claimed_until   timestamptz,
    claim_id        uuid,
    last_error      text,
    primary key (workspace_id, broadcast_id),
    foreign key (workspace_id, broadcast_id) references broadcasts on delete cascade,
    check ((state = 'failed') = (failure is not null))
);
create index broadcast_estimates_pending on broadcast_estimates (workspace_id, broadcast_id) where state = 'pending';
insert into broadcast_estimates (workspace_id, broadcast_id, state, asked_at)
select workspace_id, broadcast_id, 'done', created_at from broadcasts where preflight is not null;
