-- Who made a change: a user of the dashboard, a client by its key, somebody at the command line, or a job.

alter table audit_log add column actor text not null default 'user'
    check (actor in ('user', 'key', 'command_line', 'job'));

update audit_log set actor = 'command_line' where user_id is null and user_name = 'command line';
