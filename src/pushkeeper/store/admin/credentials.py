"""Credentials, sealed at rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from pushkeeper.core.model import BROWSER_SERVICES, Environment, Provider, Secret, WorkspaceId
from pushkeeper.errors import NotFound
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.db.statements import nothing_else
from pushkeeper.store.delivery import held_refusals, routes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row
    from pushkeeper.store.db.statements import Also

SQL = load_queries(__name__)

EXPIRES_SOON = timedelta(days=30)
NOT_SET_UP = "This workspace has no FCM or APNs credentials, and no VAPID key. Add them under Routes, or with `pushkeeper credentials add`"


_LEGS: Mapping[Provider, Sequence[str]] = {
    Provider.APNS: [""],
    Provider.FCM: ["", "apple"],
    Provider.WEBPUSH: [service.value for service in BROWSER_SERVICES],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """What a workspace sends with. `app` is APNs' topic, FCM's project or a name for a site; `facts` may be shown to anybody."""

    provider: Provider
    kind: str
    app: str
    environment: Environment
    facts: dict[str, Any]
    secret: Secret
    endpoint_url: str | None = None
    ca_pem: str | None = None


# What is stored of a new credential and the one that it comes in the place of.
Joined: TypeAlias = "Callable[[NewCredential, NewCredential], NewCredential]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential(NewCredential):
    """A stored one; (`credential_id`, `changed_at`) changes whenever anything of it does."""

    credential_id: int
    workspace_id: WorkspaceId
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleApp:
    """What APNs needs beside the key: the app's topic, and its environment."""

    topic: str
    environment: Environment
    endpoint_url: str | None = None
    ca_pem: str | None = None


async def put(
    database: Database,
    vault: Vault,
    workspace: WorkspaceId,
    new: NewCredential,
    also: Also = nothing_else,
    *,
    joined: Joined | None = None,
) -> int:
    """Add or replace a credential and return its id; `joined` makes of it and the former one what is stored.

    Its routes resume, and have to be verified again; pushes on hold are sent again. `also` runs in the same
    transaction.
    """
    label = _label(workspace, new.provider, new.app, new.environment)

    async def work(connection: Connection) -> int:
        stored = new
        if joined is not None:
            key = (workspace, new.provider.value, new.app, new.environment.value)
            if (former := await connection.fetchrow(SQL["former"], *key)) is not None:
                facts, secret = former["facts"], vault.open(former["sealed"], label)
                stored = joined(new, replace(new, facts=facts, secret=secret))
        credential_id: int = await connection.fetchval(
            SQL["put"],
            workspace,
            new.provider.value,
            new.kind,
            new.app,
            new.environment.value,
            stored.facts,
            vault.seal(stored.secret, label),
            new.endpoint_url,
            new.ca_pem,
        )
        await also(connection)
        opened = await routes.fresh(connection, workspace, credential_id, _LEGS[new.provider])
        while await held_refusals.discard(connection, opened, (held_refusals.UNPROVEN, held_refusals.GUARD)):
            pass
        return credential_id

    return await database.of(workspace).in_transaction(work)


async def exists(database: Database, workspace: WorkspaceId, new: NewCredential) -> bool:
    """Whether there is a credential that this one would replace."""
    found: bool = await database.of(workspace).value(
        SQL["exists"], workspace, new.provider.value, new.app, new.environment.value
    )
    return found


async def read(database: Database, vault: Vault, workspace: WorkspaceId, credential_id: int) -> Credential:
    """A credential, opened.

    Raises:
        NotFound: it is gone.
        Misconfigured: it was sealed with another secret key.
    """
    row = await database.of(workspace).row(SQL["read"], workspace, credential_id)
    if row is None:
        raise NotFound("Credentials not found")
    facts = dict(row)
    provider, environment = Provider(facts.pop("provider")), Environment(facts.pop("environment"))
    secret = vault.open(
        facts.pop("sealed"), _label(facts["workspace_id"], provider, facts["app"], environment)
    )
    return Credential(**facts, provider=provider, environment=environment, secret=secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRecord:
    """What of a credential may be shown to anybody."""

    credential_id: int
    provider: Provider
    kind: str
    app: str
    environment: Environment
    facts: dict[str, Any]
    endpoint_url: str | None
    created_at: datetime
    changed_at: datetime


async def of_workspace(database: Database, workspace: WorkspaceId) -> list[CredentialRecord]:
    """The credentials of a workspace, without their secrets."""
    rows = await database.of(workspace).rows(SQL["of_workspace"], workspace)
    return database.readable(rows, _facts, table="credentials", key="credential_id", workspace=workspace)


def _facts(row: Row) -> CredentialRecord:
    provider, environment = Provider(row["provider"]), Environment(row["environment"])
    return CredentialRecord(
        **{**row, "provider": provider, "environment": environment, "facts": {**row["facts"]}}
    )


async def set_up(connection: Connection, workspaces: Collection[WorkspaceId]) -> set[WorkspaceId]:
    """Which of these workspaces have credentials to send with."""
    return {row["workspace_id"] for row in await connection.fetch(SQL["set_up"], list(workspaces))}


async def services(database: Database, workspace: WorkspaceId) -> set[Provider]:
    """The push services that a workspace has credentials for."""
    rows = await database.of(workspace).rows(SQL["of_workspace"], workspace)
    return {Provider(row["provider"]) for row in rows}


def _label(workspace: WorkspaceId, provider: Provider, app: str, environment: Environment) -> str:
    return f"credential {workspace}/{provider}/{app}/{environment}"
