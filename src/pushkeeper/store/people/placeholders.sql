-- Placeholders: which workspaces allow them as ids.

-- name: allowing
-- Which of these workspaces allow them.
select workspace_id from workspaces where workspace_id = any ($1::bigint[]) and allow_placeholder_ids;
