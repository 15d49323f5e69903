-- Exports that are streamed to whoever asks for them: in the list beside those that a worker writes, with who made each.

alter table exports
    drop constraint exports_kind_check,
    add constraint exports_kind_check check (kind in
        ('customers', 'deliveries', 'devices', 'people', 'history', 'pushes', 'members')),
    drop constraint exports_state_check,
    add constraint exports_state_check check (state in ('pending', 'running', 'done', 'failed', 'cancelled')),
    add column actor_kind text,
    add column actor_name text;
