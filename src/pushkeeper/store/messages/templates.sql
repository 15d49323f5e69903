-- Templates: what transactional messages and broadcasts say, by number or by trigger name.

-- name: insert
-- A new template; no row comes back when its trigger name is taken.
insert into templates (workspace_id, kind, name, trigger_name, description, content, translations, when_undefined,
    send_to_unsubscribed, audience)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (workspace_id, kind, lower(trigger_name)) do nothing
returning template_id;

-- name: change
-- Replace a template; no row is returned if it does not exist.
update templates set name = $4, trigger_name = $5, description = $6, content = $7, translations = $8,
    when_undefined = $9, send_to_unsubscribed = $10, audience = $11, updated_at = now()
where workspace_id = $1 and kind = $2 and template_id = $3
returning template_id;

-- name: taken
-- Whether another template of this kind has this trigger name.
select exists (
    select from templates
    where workspace_id = $1 and kind = $2 and lower(trigger_name) = lower($3) and template_id is distinct from $4);

-- name: delete
-- Delete a template; its messages are kept.
delete from templates where workspace_id = $1 and template_id = $2 returning template_id;

-- name: all
-- The templates of a workspace, optionally of one kind or number, oldest first.
select template_id, kind, name, trigger_name, description, content, translations, when_undefined, send_to_unsubscribed,
    audience, created_at, updated_at
from templates
where workspace_id = $1 and ($2::text is null or kind = $2) and ($3::bigint is null or template_id = $3)
order by template_id;

-- name: triggered
-- The template of this kind and trigger name, in any case.
select template_id, kind, name, trigger_name, description, content, translations, when_undefined, send_to_unsubscribed,
    audience, created_at, updated_at
from templates where workspace_id = $1 and kind = $2 and lower(trigger_name) = lower($3);
