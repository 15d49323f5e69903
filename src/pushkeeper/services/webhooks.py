"""Reporting webhooks: made, changed and listed; a worker posts to them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from pushkeeper.core.model import Secret
from pushkeeper.errors import Conflict, NotFound
from pushkeeper.store import webhooks
from pushkeeper.store.webhooks import KEPT_CALLS

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.webhooks import Change, Logged, Wanted, Webhook

MOST_WEBHOOKS = 50
_NOT_FOUND = "webhook: not found"


class Webhooks:
    """The webhooks of all workspaces."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def make(self, workspace: WorkspaceId, wanted: Wanted) -> tuple[Webhook, str]:
        """Make a webhook, and return it with the key that its calls are signed with, which is shown this once.

        Raises:
            Conflict: the workspace has as many as it may.
        """
        key = secrets.token_hex(32)
        sealed = Secret(self._vault.seal(Secret(key.encode()), seal_label(workspace)))
        made = await webhooks.insert(self._database, workspace, wanted, sealed, most=MOST_WEBHOOKS)
        if made is None:
            raise Conflict(f"webhook: a workspace has at most {MOST_WEBHOOKS}; delete one first")
        return await self.one(workspace, made), key

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

    async def change(self, workspace: WorkspaceId, webhook_id: int, change: Change) -> Webhook:
        """Change a webhook; failed calls are retried at once.

        Raises:
            NotFound: it does not exist.
        """
        if not await webhooks.change(self._database, workspace, webhook_id, change):
            raise NotFound(_NOT_FOUND)
        return await self.one(workspace, webhook_id)

    async def delete(self, workspace: WorkspaceId, webhook_id: int) -> None:
        """Delete a webhook and what waits for it.

        Raises:
            NotFound: it does not exist.
        """
        if not await webhooks.delete(self._database, workspace, webhook_id):
            raise NotFound(_NOT_FOUND)

    async def calls(
        self, workspace: WorkspaceId, webhook_id: int, *, before: int | None = None, most: int = KEPT_CALLS
    ) -> list[Logged]:
        """What its endpoint was called with before a call, and what it said: the newest first, the last 200 at most.

        Raises:
            NotFound: it does not exist.
        """
        await self.one(workspace, webhook_id)
        return await webhooks.calls(self._database, workspace, webhook_id, before=before, most=most)


def seal_label(workspace: WorkspaceId) -> str:
    """What a webhook's sealed key is bound to."""
    return f"webhook of workspace {workspace}"
