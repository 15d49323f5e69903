"""Credentials: with which keys a workspace sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.model import Provider
from pushkeeper.errors import NotFound
from pushkeeper.services.audit import audited
from pushkeeper.store.admin import credentials
from pushkeeper.store.admin.credentials import (
    EXPIRES_SOON,
    AppleApp,
    Credential,
    CredentialFacts,
    NewCredential,
)

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database

__all__ = ["EXPIRES_SOON", "AppleApp", "Credential", "CredentialFacts", "Credentials", "NewCredential"]


class Credentials:
    """The credentials of all workspaces."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def of_workspace(self, workspace: WorkspaceId) -> list[CredentialFacts]:
        """The credentials of a workspace, without their secrets."""
        return await credentials.of_workspace(self._database, workspace)

    @audited("credentials.put")
    async def put(
        self, entry: AuditEntry, workspace: WorkspaceId, new: NewCredential, *, must_exist: bool = False
    ) -> tuple[int, bool]:
        """Add or replace a credential; its id, and whether it was there. Its routes go on, and what was held on them is sent again.

        Raises:
            NotFound: it must be there to be replaced, and is not.
        """
        entry.target = _name(new)
        replaced = await credentials.exists(self._database, workspace, new)
        if must_exist and not replaced:
            raise NotFound(f"No credentials for {new.app}; add them with `pushkeeper credentials add`")
        made = await credentials.put(self._database, self._vault, workspace, new, entry.done_with)
        entry.detail = f"{new.kind} {'replaced' if replaced else 'added'}"
        return made, replaced

    @audited("credentials.probe", "credential_id")
    async def opened(self, entry: AuditEntry, workspace: WorkspaceId, credential_id: int) -> Credential:
        """A credential with its secret, to ask its provider whether it is good.

        Raises:
            NotFound: it is gone.
            Misconfigured: it was sealed with another secret key.
        """
        found = await credentials.read(self._database, self._vault, workspace, credential_id)
        entry.target = _name(found)
        return found


def _name(one: NewCredential) -> str:
    parts = [one.provider.value, one.app]
    if one.provider is Provider.APNS:
        parts.insert(1, one.environment.value)
    return ":".join(parts)
