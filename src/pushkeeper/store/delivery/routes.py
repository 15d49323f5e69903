"""Routes: what a provider can reject as a whole, its state, and its queue."""

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
    """Who paused a route, and so who can resume it."""

    OPERATOR = "operator"  # by hand; by hand again
    CREDENTIALS = "credentials"  # its key, topic or project was refused; a probe, new credentials, or by hand
    UNTRUSTED = "untrusted"  # the peer is not the provider; resumed by a probe, new credentials, or manually
    GUARD = "guard"  # a wave of refusals that may be a setting's fault; an operator applies or discards them


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a provider can reject as a whole.

    Attributes:
        endpoint_url: its endpoint, if not the provider's own.
        leg: "apple" for FCM's way to iPhones, else "".
        changed_at: when its credential was last changed.
        accepted_at: when the provider first took a push on it since then; until then, rejections that a wrong setting
            may have caused don't count against devices.
        probe_at: when a worker probes the provider of a paused route; None when only an operator can resume it.
        believed_until: until when an operator confirmed its rejections, so that the guard lets them through.
        throttled_until: when sending resumes, after the provider throttled it.
        slowed_to_per_s: the rate at which it resumes.
        max_pushes_per_s: the workspace's limit; None for the provider's own.
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
    """Outcomes of a route's pushes in 24 hours; its queued pushes, and rejections on hold."""

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
    """Store an alert; `reason` is its reason code."""
    await connection.execute(SQL["alert"], *route.key, reason, storable(text), storable(detail))


async def fresh(
    connection: Connection, workspace: WorkspaceId, credential_id: int, legs: Sequence[str]
) -> list[RouteKey]:
    """Create a credential's routes; existing ones resume, and have to be verified again."""
    found = await connection.fetch(SQL["fresh"], workspace, credential_id, list(legs))
    await notify(connection)
    return [(workspace, row["route_id"]) for row in found]


async def count(connection: Connection, results: Mapping[RouteKey, Mapping[Result, int]]) -> None:
    """Add outcomes of routes' pushes to this hour."""
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
    """Resume these routes: their queued batches are due."""
    await connection.fetch(SQL["resume"], workspace, list(chosen))
    await notify(connection)


async def believe(connection: Connection, workspace: WorkspaceId, chosen: Sequence[RouteId]) -> None:
    """An operator vouches for the refusals on these routes, for an hour."""
    await connection.execute(SQL["believe"], workspace, list(chosen))
    await notify(connection)


async def throttle(
    connection: Connection, route: Route, *, whole: bool = False, rest_s: float, slowed_to_per_s: float
) -> None:
    """Throttle a route, or with `whole` all of its credential's, and resume slowly."""
    await connection.execute(SQL["throttle"], *_chosen(route, whole=whole), rest_s, slowed_to_per_s)
    await notify(connection)


async def due_probes(database: Database, *, again_after_s: float) -> list[Route]:
    """Paused routes whose provider may be probed now; no other worker gets them for `again_after_s`."""
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
    """Notify every worker, at the commit, that the state of routes changed."""
    await connection.execute(f"notify {ROUTES_CHANNEL}")
    await connection.execute(f"notify {WORK_CHANNEL}")
