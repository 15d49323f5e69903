"""Routes: what a provider can refuse as a whole, whether it is well, and what waits in its lane."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pushkeeper.core.delivery.refusal_guard import Result
from pushkeeper.core.model import Environment, Provider, RouteId, WorkspaceId
from pushkeeper.store.db.database import ROUTES_CHANNEL, WORK_CHANNEL, columns, storable
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pushkeeper.core.model import RouteKey
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row

SQL = load_queries(__name__)


class PauseKind(StrEnum):
    """Who paused a route, and so who lets it go on."""

    OPERATOR = "operator"  # by hand; by hand again
    CREDENTIALS = "credentials"  # its key, topic or project was refused; a probe, new credentials, or by hand
    UNTRUSTED = "untrusted"  # whoever answers is not the provider; a probe, new credentials, or by hand
    GUARD = "guard"  # a wave of refusals that may be a setting's fault; an operator applies or discards them


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a provider can refuse as a whole.

    Attributes:
        endpoint_url: where it leads, if not to the provider itself.
        leg: "apple" for FCM's way to iPhones, else "".
        changed_at: when its credential was last changed.
        accepted_at: when the provider first took a push on it since then; until then a refusal that may be the
            setting's fault is no device's.
        probe_at: when a worker asks the provider whether a paused route is well again; None when only people know.
        believed_until: until when an operator vouches for its refusals, so that the guard lets them through.
        throttled_until: when it may be sent on again, after the provider said that it was too fast.
        slowed_to_per_s: at what rate it begins then.
        max_pushes_per_s: what its workspace allows; None for the provider's own bounds.
        ramp_s: how long a cold start takes to its full rate.
        norm: the share of ambiguous refusals that is usual for it, 0 to 1.
    """

    route_id: RouteId
    credential_id: int
    workspace_id: WorkspaceId
    provider: Provider
    app: str
    environment: Environment
    leg: str
    changed_at: datetime
    endpoint_url: str | None = None
    accepted_at: datetime | None = None
    paused_at: datetime | None = None
    pause_reason: str | None = None
    pause_kind: PauseKind | None = None
    probe_at: datetime | None = None
    believed_until: datetime | None = None
    throttled_until: datetime | None = None
    slowed_to_per_s: float | None = None
    max_pushes_per_s: int | None = None
    ramp_s: int = 60
    norm: float = 0.0

    @property
    def key(self) -> RouteKey:
        return self.workspace_id, self.route_id

    @property
    def host(self) -> str:
        """What is out of order when nobody answers: routes that lead to the same place share it."""
        return self.endpoint_url or f"{self.provider}:{self.environment}"

    @property
    def name(self) -> str:
        """`apns:production:com.example.app`, `fcm:my-project` or `fcm:my-project:apple`."""
        return f"{self.of_credential}:{self.leg}" if self.leg else self.of_credential

    @property
    def of_credential(self) -> str:
        """What all routes of one credential begin with: `apns:production:com.example.app` or `fcm:my-project`."""
        parts = [self.provider.value, self.app]
        if self.provider is Provider.APNS:
            parts.insert(1, self.environment.value)
        return ":".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What came of a route's pushes in 24 hours; pushes that wait in its lane, and verdicts that are held."""

    route_id: RouteId
    accepted: int
    ambiguous: int
    definite: int
    other: int
    waiting: int
    held_verdicts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What somebody should look at, and how often it was said."""

    route_id: RouteId
    reason: str
    alert: str
    detail: str
    times: int
    first_at: datetime
    last_at: datetime


async def of_workspaces(database: Database, workspaces: Sequence[WorkspaceId]) -> list[Route]:
    """All routes of these workspaces."""
    rows = await database.of(*workspaces).rows(SQL["of_workspaces"], list(workspaces))
    return database.readable(rows, _route, table="routes", key="route_id")


def _route(row: Row) -> Route:
    return Route(
        **{
            **row,
            "provider": Provider(row["provider"]),
            "environment": Environment(row["environment"]),
            "pause_kind": row["pause_kind"] and PauseKind(row["pause_kind"]),
        }
    )


async def health(database: Database, workspace: WorkspaceId) -> dict[RouteId, Health]:
    """How each route of a workspace does."""
    return {
        row["route_id"]: Health(**row) for row in await database.of(workspace).rows(SQL["health"], workspace)
    }


async def alerts(database: Database, workspace: WorkspaceId) -> list[Alert]:
    """The alerts of the last seven days, the newest first."""
    return [Alert(**row) for row in await database.of(workspace).rows(SQL["alerts"], workspace)]


async def alert(connection: Connection, route: Route, reason: str, text: str, detail: str) -> None:
    """Keep an alert, for whoever looks; `reason` is its reason code."""
    await connection.execute(SQL["alert"], *route.key, reason, storable(text), storable(detail))


async def fresh(
    connection: Connection, workspace: WorkspaceId, credential_id: int, legs: Sequence[str]
) -> list[RouteKey]:
    """Give a credential its routes; those that it has are resumed, and have to prove themselves again."""
    found = await connection.fetch(SQL["fresh"], workspace, credential_id, list(legs))
    await notify(connection)
    return [(workspace, row["route_id"]) for row in found]


async def count(connection: Connection, results: Mapping[RouteKey, Mapping[Result, int]]) -> None:
    """Add what came of routes' pushes to this hour."""
    if not results:
        return
    rows = [
        (
            *route,
            counts.get(Result.ACCEPTED, 0),
            counts.get(Result.AMBIGUOUS, 0),
            counts.get(Result.DEFINITE, 0),
            counts.get(Result.OTHER, 0),
        )
        for route, counts in results.items()
    ]
    await connection.execute(SQL["count"], *columns(rows, 6))


async def mark_accepted(connection: Connection, chosen: Sequence[RouteKey]) -> None:
    """The provider took a push on these routes: their settings are good."""
    await connection.execute(SQL["accepted"], *columns(chosen, 2))


async def pause(
    connection: Connection,
    route: Route,
    *,
    whole: bool = False,
    kind: PauseKind,
    reason: str,
    probe_after_s: float | None,
) -> list[RouteId]:
    """Stop a route, or with `whole` all of its credential's, and return which; what is paused keeps its first reason."""
    rows = await connection.fetch(
        SQL["pause"], *_chosen(route, whole=whole), kind.value, storable(reason), probe_after_s
    )
    if rows:
        await notify(connection)
    return [row["route_id"] for row in rows]


def _chosen(route: Route, *, whole: bool) -> tuple[WorkspaceId, int, RouteId | None]:
    return route.workspace_id, route.credential_id, None if whole else route.route_id


async def resume(connection: Connection, workspace: WorkspaceId, chosen: Sequence[RouteId]) -> None:
    """Let these routes go on: what waits in their lanes is due."""
    await connection.fetch(SQL["resume"], workspace, list(chosen))
    await notify(connection)


async def believe(connection: Connection, workspace: WorkspaceId, chosen: Sequence[RouteId]) -> None:
    """An operator vouches for the refusals on these routes, for an hour."""
    await connection.execute(SQL["believe"], workspace, list(chosen))
    await notify(connection)


async def throttle(
    connection: Connection, route: Route, *, whole: bool = False, rest_s: float, slowed_to_per_s: float
) -> None:
    """Let a route, or with `whole` all of its credential's, rest for a while and go on slowly."""
    await connection.execute(SQL["throttle"], *_chosen(route, whole=whole), rest_s, slowed_to_per_s)
    await notify(connection)


async def due_probes(database: Database, *, again_after_s: float) -> list[Route]:
    """Paused routes whose provider may be asked now; no other worker gets them for as long as `again_after_s`."""
    due = {
        (row["workspace_id"], row["route_id"])
        for row in await database.rows(SQL["due_probes"], again_after_s)
    }
    if not due:
        return []
    workspaces = sorted({workspace for workspace, _ in due})
    return [route for route in await of_workspaces(database, workspaces) if route.key in due]


async def waiting(connection: Connection, workspace: WorkspaceId, chosen: Sequence[RouteId]) -> int:
    """For how many devices there is work in the lanes of these routes."""
    found: int = await connection.fetchval(SQL["waiting"], workspace, list(chosen))
    return found


async def notify(connection: Connection) -> None:
    """Tell every worker, at the commit, that routes stand otherwise now."""
    await connection.execute(f"notify {ROUTES_CHANNEL}")
    await connection.execute(f"notify {WORK_CHANNEL}")
