"""Reporting webhooks: made, changed and listed; a worker posts to them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pushkeeper.core.model import Secret
from pushkeeper.errors import Conflict, NotFound
from pushkeeper.services.audit import audited
from pushkeeper.store import webhooks
from pushkeeper.store.webhooks import (
    EVENTS,
    KEPT_CALLS,
    OTHER_CHANNELS_EVENTS,
    POSTED_EVENTS,
    LoggedCall,
    PendingCall,
    Webhook,
    WebhookChange,
    WebhookDefinition,
)

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database

__all__ = [
    "EVENTS",
    "MOST_WEBHOOKS",
    "OTHER_CHANNELS_EVENTS",
    "POSTED_EVENTS",
    "LoggedCall",
    "PendingCall",
    "Webhook",
    "WebhookChange",
    "WebhookDefinition",
    "Webhooks",
    "seal_label",
]

MOST_WEBHOOKS = 50
_NOT_FOUND = "Webhook not found"


class Webhooks:
    """The webhooks of all workspaces."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    @audited("webhook.add")
    async def make(
        self, entry: AuditEntry, workspace: WorkspaceId, wanted: WebhookDefinition
    ) -> tuple[Webhook, str]:
        """Make a webhook, and return it with the key that its calls are signed with, which is shown this once.

        Raises:
            Conflict: the workspace has as many as it may.
        """
        key = secrets.token_hex(32)
        sealed = Secret(self._vault.seal(Secret(key.encode()), seal_label(workspace)))
        made = await webhooks.insert(self._database, workspace, wanted, sealed, most=MOST_WEBHOOKS)
        if made is None:
            raise Conflict(f"A workspace can have at most {MOST_WEBHOOKS} webhooks; delete one first")
        found = await self.one(workspace, made)
        entry.target = f"{made} {found.name}"
        entry.changed("endpoint", None, _host(found.endpoint))
        entry.changed("events", None, ", ".join(found.events))
        return found, key

    async def all(self, workspace: WorkspaceId) -> list[Webhook]:
        """The webhooks of a workspace, the oldest first."""
        return await webhooks.of_workspace(self._database, workspace)

    async def one(self, workspace: WorkspaceId, webhook_id: int) -> Webhook:
        """One webhook.

        Raises:
            NotFound: it does not exist.
        """
        found = await webhooks.of_workspace(self._database, workspace, webhook_id)
        if not found:
            raise NotFound(_NOT_FOUND)
        return found[0]

    @audited("webhook.change", "webhook_id")
    async def change(
        self, entry: AuditEntry, workspace: WorkspaceId, webhook_id: int, change: WebhookChange
    ) -> Webhook:
        """Change a webhook; failed calls are retried at once.

        Raises:
            NotFound: it does not exist.
        """
        return await self._changed(entry, workspace, webhook_id, change)

    @audited("webhook.pause", "webhook_id")
    async def pause(self, entry: AuditEntry, workspace: WorkspaceId, webhook_id: int) -> Webhook:
        """Post nothing to a webhook until it is enabled; what happens waits for it.

        Raises:
            NotFound: it does not exist.
        """
        return await self._changed(entry, workspace, webhook_id, WebhookChange(disabled=True))

    @audited("webhook.enable", "webhook_id")
    async def enable(self, entry: AuditEntry, workspace: WorkspaceId, webhook_id: int) -> Webhook:
        """Post to a webhook again, at once.

        Raises:
            NotFound: it does not exist.
        """
        return await self._changed(entry, workspace, webhook_id, WebhookChange(disabled=False))

    async def _changed(
        self, entry: AuditEntry, workspace: WorkspaceId, webhook_id: int, change: WebhookChange
    ) -> Webhook:
        before = await self.one(workspace, webhook_id)
        if not await webhooks.change(self._database, workspace, webhook_id, change):
            raise NotFound(_NOT_FOUND)
        after = await self.one(workspace, webhook_id)
        entry.target = f"{webhook_id} {after.name}"
        entry.changed_fields(before, after, "name", "disabled", "full_resolution", "with_content")
        entry.changed("events", ", ".join(before.events), ", ".join(after.events))
        if before.endpoint != after.endpoint:
            entry.detail = f"endpoint: {_host(before.endpoint)} → {_host(after.endpoint)}"
        return after

    @audited("webhook.delete", "webhook_id")
    async def delete(self, entry: AuditEntry, workspace: WorkspaceId, webhook_id: int) -> None:
        """Delete a webhook and its queue.

        Raises:
            NotFound: it does not exist.
        """
        before = await self.one(workspace, webhook_id)
        if not await webhooks.delete(self._database, workspace, webhook_id):
            raise NotFound(_NOT_FOUND)
        entry.target = f"{webhook_id} {before.name}"

    async def waiting(
        self, workspace: WorkspaceId, webhook_id: int, *, most: int, after: int = 0
    ) -> list[PendingCall]:
        """The queue of a webhook, in order, after an event."""
        return await webhooks.waiting(self._database, workspace, webhook_id, most=most, after=after)

    async def calls(
        self, workspace: WorkspaceId, webhook_id: int, *, before: int | None = None, most: int = KEPT_CALLS
    ) -> list[LoggedCall]:
        """What its endpoint was called with before a call, and what it said: the newest first, the last 200 at most.

        Raises:
            NotFound: it does not exist.
        """
        await self.one(workspace, webhook_id)
        return await webhooks.calls(self._database, workspace, webhook_id, before=before, most=most)


def _host(endpoint: str) -> str:
    """What of an address is written: its path and query may hold a secret."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.hostname}"


def seal_label(workspace: WorkspaceId) -> str:
    """What a webhook's sealed key is bound to."""
    return f"webhook of workspace {workspace}"
