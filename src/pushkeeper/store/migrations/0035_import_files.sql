-- Imports whose file a worker fetches, how long they still take, and the people that they are for.

alter table imports
    add column description text not null default '',
    add column fetch_from bytea, -- sealed: where the file is to be had; null once all of it is there
    add column fetched_to text not null default '', -- the place from which the next page of it follows
    add column checked_bytes bigint not null default 0, -- of the file, up to the devices that were compared
    add column began_at timestamptz, -- the attempt that is running
    add column began_bytes bigint not null default 0; -- read and compared before it
