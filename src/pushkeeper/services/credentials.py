"""Credentials: with which keys a workspace sends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pushkeeper.core.devices import vapid_keys
from pushkeeper.core.model import Provider
from pushkeeper.errors import NotFound
from pushkeeper.services.audit import audited
from pushkeeper.store.admin import credentials
from pushkeeper.store.admin.credentials import (
    EXPIRES_SOON,
    AppleApp,
    Credential,
    CredentialRecord,
    NewCredential,
)
from pushkeeper.store.devices import counts

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.admin.credentials import Joined
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database

__all__ = ["EXPIRES_SOON", "AppleApp", "Credential", "CredentialRecord", "Credentials", "NewCredential"]


class Credentials:
    """The credentials of all workspaces."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def of_workspace(self, workspace: WorkspaceId) -> list[CredentialRecord]:
        """The credentials of a workspace, without their secrets."""
        return await credentials.of_workspace(self._database, workspace)

    @audited("credentials.put")
    async def put(
        self,
        entry: AuditEntry,
        workspace: WorkspaceId,
        new: NewCredential,
        *,
        must_exist: bool = False,
        keep_key: bool = False,
    ) -> tuple[int, bool]:
        """Add or replace a credential; its ID, and whether it existed. Its routes resume, and pushes on hold are sent again.

        A VAPID key is moved behind the new one as long as browsers are subscribed with it; with `keep_key` it is not replaced.

        Raises:
            NotFound: it must exist to be replaced, and does not.
        """
        entry.target = _name(new)
        replaced = await credentials.exists(self._database, workspace, new)
        if must_exist and not replaced:
            raise NotFound(f"No credentials for {new.app}; add them with `pushkeeper credentials add`")
        joined = (
            await self._joined(workspace, keep_key=keep_key) if new.provider is Provider.WEBPUSH else None
        )
        made = await credentials.put(
            self._database, self._vault, workspace, new, entry.done_with, joined=joined
        )
        entry.detail = f"{new.kind} {'replaced' if replaced else 'added'}"
        return made, replaced

    async def _joined(self, workspace: WorkspaceId, *, keep_key: bool) -> Joined:
        used = await counts.by_vapid_key(self._database, workspace)

        def joined(new: NewCredential, former: NewCredential) -> NewCredential:
            keys = (new.facts, new.secret), (former.facts, former.secret)
            facts, secret = (
                vapid_keys.with_the_same_key(*keys) if keep_key else vapid_keys.rotated(*keys, used)
            )
            return replace(new, facts=facts, secret=secret)

        return joined

    async def on_former_keys(self, workspace: WorkspaceId, credential_id: int) -> int:
        """How many browsers are subscribed with a former key of these credentials, until they subscribe again."""
        known = await credentials.of_workspace(self._database, workspace)
        former = [
            name
            for one in known
            if one.credential_id == credential_id
            for name in one.facts.get("former_key_ids", ())
        ]
        used = await counts.by_vapid_key(self._database, workspace) if former else {}
        return sum(used.get(name, 0) for name in former)

    async def vapid_public_key(self, workspace: WorkspaceId, app: str | None = None) -> str | None:
        """The public key that browsers subscribe with; None if no key exists, or several do and no app is named."""
        known = await credentials.of_workspace(self._database, workspace)
        keys = [
            str(one.facts["public_key"])
            for one in known
            if one.provider is Provider.WEBPUSH and app in {None, one.app}
        ]
        return keys[0] if len(keys) == 1 else None

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
