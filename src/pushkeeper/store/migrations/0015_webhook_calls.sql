-- What endpoints were called with, and what they said: the last calls of each webhook, numbered by the webhook itself, so
-- that what is beyond the last of them is found by its key.

alter table webhooks add column calls bigint not null default 0; -- how many were made
alter table outbox add column attempts integer not null default 0; -- how often this was posted and not taken

create table webhook_calls (
    webhook_id  bigint not null references webhooks on delete cascade,
    call        bigint not null,
    at          timestamptz not null,
    event_id    uuid not null,
    object_type text not null,
    metric      text not null,
    message_id  uuid,
    person_id   bigint,
    attempt     integer not null,
    status      smallint, -- that the endpoint answered with; null when it did not
    failure     text,     -- why it was not taken; null when it was
    took_ms     integer not null,
    primary key (webhook_id, call)
);
