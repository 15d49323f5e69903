"""Credentials, sealed at rest, and the routes that each one opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.core.model import Environment, Provider, RouteId, Secret, WorkspaceId
from pushkeeper.errors import NotFound
from pushkeeper.store.database import WORK_CHANNEL, load_queries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from pushkeeper.store.database import Connection, Database
    from pushkeeper.store.vault import Vault

SQL = load_queries("credentials")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """What a workspace sends with. `app` is APNs' topic or FCM's project; `facts` may be shown to anybody."""

    provider: Provider
    kind: str
    app: str
    environment: Environment
    facts: dict[str, Any]
    secret: Secret
    endpoint_url: str | None = None
    ca_pem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential(NewCredential):
    """A stored one; (`credential_id`, `changed_at`) changes whenever anything of it does."""

    credential_id: int
    workspace_id: WorkspaceId
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a provider can refuse as a whole.

    `accepted_at` is when the provider first took a push on it since its settings last changed: until then a refusal
    that may be the setting's fault is no device's.
    """

    route_id: RouteId
    credential_id: int
    workspace_id: WorkspaceId
    provider: Provider
    app: str
    environment: Environment
    leg: str
    changed_at: datetime
    accepted_at: datetime | None
    paused_at: datetime | None
    pause_reason: str | None

    @property
    def name(self) -> str:
        """`apns:production:com.example.app`, `fcm:my-project` or `fcm:my-project:apple`."""
        parts = [self.provider.value, self.app]
        if self.provider is Provider.APNS:
            parts.insert(1, self.environment.value)
        return ":".join([*parts, self.leg] if self.leg else parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What waits on a route (or on none) until an operator releases it."""

    route_id: RouteId | None
    reason: str
    batches: int
    devices: int


async def put(database: Database, vault: Vault, workspace: WorkspaceId, new: NewCredential) -> int:
    """Add or replace a credential, resume its routes and release what was held on them; return its id."""

    async def work(connection: Connection) -> int:
        credential_id: int = await connection.fetchval(
            SQL["put"],
            workspace,
            new.provider.value,
            new.kind,
            new.app,
            new.environment.value,
            new.facts,
            vault.seal(new.secret, _label(workspace, new.provider, new.app, new.environment)),
            new.endpoint_url,
            new.ca_pem,
        )
        legs = ["", "apple"] if new.provider is Provider.FCM else [""]
        routes = await connection.fetch(SQL["fresh_routes"], credential_id, legs)
        await connection.fetch(SQL["release"], [row["route_id"] for row in routes])
        await connection.execute(f"notify {WORK_CHANNEL}")
        return credential_id

    return await database.in_transaction(work)


async def read(database: Database, vault: Vault, credential_id: int) -> Credential:
    """A credential, opened.

    Raises:
        NotFound: it is gone.
        Misconfigured: it was sealed with another secret key.
    """
    row = await database.row(SQL["read"], credential_id)
    if row is None:
        raise NotFound("credential: it is gone")
    facts = dict(row)
    provider, environment = Provider(facts.pop("provider")), Environment(facts.pop("environment"))
    secret = vault.open(
        facts.pop("sealed"), _label(facts["workspace_id"], provider, facts["app"], environment)
    )
    return Credential(**facts, provider=provider, environment=environment, secret=secret)


async def routes(database: Database, workspaces: Sequence[WorkspaceId]) -> list[Route]:
    """All routes of these workspaces."""
    return [
        Route(
            **{**row, "provider": Provider(row["provider"]), "environment": Environment(row["environment"])}
        )
        for row in await database.rows(SQL["routes"], list(workspaces))
    ]


async def set_up(connection: Connection, workspaces: Collection[WorkspaceId]) -> set[WorkspaceId]:
    """Which of these workspaces have credentials to send with."""
    return {row["workspace_id"] for row in await connection.fetch(SQL["set_up"], list(workspaces))}


async def held(database: Database, workspace: WorkspaceId) -> list[Held]:
    """What is held in this workspace, by route and reason."""
    return [Held(**row) for row in await database.rows(SQL["held"], workspace)]


async def mark_accepted(connection: Connection, chosen: Sequence[RouteId]) -> None:
    """The provider took a push on these routes: their settings are good."""
    await connection.execute(SQL["accepted"], list(chosen))


async def pause(connection: Connection, credential_id: int, route: RouteId | None, reason: str) -> None:
    """Stop a route of a credential, or all of its routes; what is paused keeps its first reason."""
    await connection.execute(SQL["pause"], credential_id, route, reason)


async def resume(database: Database, workspace: WorkspaceId, chosen: Sequence[RouteId]) -> int:
    """Let these routes go on, put what they hold back into the queue, and return for how many devices."""

    async def work(connection: Connection) -> int:
        resumed = await connection.fetch(SQL["resume"], workspace, list(chosen))
        released = await connection.fetch(SQL["release"], [row["route_id"] for row in resumed])
        await connection.execute(f"notify {WORK_CHANNEL}")
        return sum(row["devices"] or 0 for row in released)

    return await database.in_transaction(work)


def _label(workspace: WorkspaceId, provider: Provider, app: str, environment: Environment) -> str:
    return f"credential {workspace}/{provider}/{app}/{environment}"
