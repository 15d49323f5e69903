-- Suppressed identifiers are kept as keyed hashes; those that are there in clear are hashed by workers, who have the key.

alter table blocked add column hashed boolean not null default false;
create index blocked_in_clear on blocked (workspace_id) where not hashed;
