"""Routes of a workspace: their status, and an operator's actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core.delivery.route_choice import choose_route, no_route_reason
from pushkeeper.errors import Conflict, NotFound
from pushkeeper.services.audit import audited
from pushkeeper.store.delivery import held_refusals, routes
from pushkeeper.store.delivery.routes import Alert, PauseKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.delivery.routes import Health, Route
    from pushkeeper.store.devices.devices import Device

__all__ = ["Alert", "DeviceRoute", "PauseKind", "RouteRecord", "Routes"]

_PAGE = 1_000
_ALL = (held_refusals.UNPROVEN, held_refusals.GUARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRecord:
    """A route, how it does, and what somebody should look at."""

    route: Route
    health: Health
    alerts: tuple[Alert, ...]

    @property
    def state(self) -> str:
        """In a word: paused, throttled, proved, or not proved yet."""
        if self.route.paused_at is not None:
            return "paused"
        if self.route.throttled_until is not None and self.route.slowed_to_per_s is not None:
            return "slowed"
        return "proved" if self.route.accepted_at is not None else "unproved"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRoute:
    """The route that a push to a device would take now; without one, `reason` says why."""

    route: Route | None
    reason: str = ""


class Routes:
    """What a provider can refuse as a whole: seen, paused, resumed, and its held verdicts decided on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, workspace: WorkspaceId) -> list[RouteRecord]:
        """Every route of a workspace."""
        health = await routes.health(self._database, workspace)
        alerts = await routes.alerts(self._database, workspace)
        return [
            RouteRecord(
                route=route,
                health=health[route.route_id],
                alerts=tuple(alert for alert in alerts if alert.route_id == route.route_id),
            )
            for route in await routes.of_workspaces(self._database, [workspace])
        ]

    async def of_devices(self, workspace: WorkspaceId, devices: Sequence[Device]) -> list[DeviceRoute]:
        """The route that a push to each device would take now, in order."""
        ways = await routes.of_workspaces(self._database, [workspace])
        return [_device_route(device, ways) for device in devices]

    @audited("route.pause", "name")
    async def pause(self, entry: AuditEntry, workspace: WorkspaceId, name: str, *, reason: str = "") -> None:
        """Send nothing more on this route, until it is resumed; what is for it waits.

        Raises:
            NotFound: the route does not exist.
            Conflict: it is paused already.
        """
        route = await self._named(workspace, name)
        entry.detail = reason

        async def work(connection: Connection) -> None:
            await entry.done_with(connection)
            paused = await routes.pause(
                connection,
                route,
                kind=PauseKind.OPERATOR,
                reason=entry.by.signed(reason) or "paused by an operator",
                probe_after_s=None,
            )
            if not paused:
                raise Conflict(f"Route {name!r} is already paused")

        await self._database.of(workspace).in_transaction(work)

    @audited("route.resume", "name")
    async def resume(self, entry: AuditEntry, workspace: WorkspaceId, name: str) -> int:
        """Resume a route, and return how many devices are queued on it; rejections on hold stay on hold.

        Raises:
            NotFound: the route does not exist.
        """
        route = await self._named(workspace, name)

        async def work(connection: Connection) -> int:
            await entry.done_with(connection)
            await routes.resume(connection, workspace, [route.route_id])
            return await routes.waiting(connection, workspace, [route.route_id])

        released = await self._database.of(workspace).in_transaction(work)
        entry.detail = f"{released:,} pushes released"
        return released

    @audited("route.apply", "name")
    async def apply(self, entry: AuditEntry, workspace: WorkspaceId, name: str) -> int:
        """Apply the rejections on hold on a route: each becomes its device's bounce; returns how many there were.

        A route that the rejection guard paused resumes, and for an hour the guard lets such rejections through.

        Raises:
            NotFound: the route does not exist.
        """
        route = await self._named(workspace, name)

        async def believe(connection: Connection) -> None:
            await routes.believe(connection, workspace, [route.route_id])

        await self._database.of(workspace).in_transaction(believe)
        applied = await self._decide(route, held_refusals.apply)
        entry.detail = f"{applied:,} rejections applied"
        return applied

    @audited("route.discard", "name")
    async def discard(self, entry: AuditEntry, workspace: WorkspaceId, name: str) -> int:
        """Discard the rejections on hold on a route: no device changes, and their pushes are sent again.

        A route that the rejection guard paused resumes. Returns how many there were.

        Raises:
            NotFound: the route does not exist.
        """
        discarded = await self._decide(await self._named(workspace, name), held_refusals.discard)
        entry.detail = f"{discarded:,} rejections discarded"
        return discarded

    async def _decide(self, route: Route, decide: Callable[..., Awaitable[int]]) -> int:
        decided, own = 0, self._database.of(route.workspace_id)
        # Page by page: one transaction over all devices would lock their rows too long.
        while True:
            some: int = await own.in_transaction(
                lambda connection: decide(connection, [route.key], _ALL, limit=_PAGE)
            )
            decided += some
            if some < _PAGE:
                break

        async def go_on(connection: Connection) -> None:
            await routes.resume(connection, route.workspace_id, [route.route_id])

        if route.pause_kind is PauseKind.GUARD:
            await own.in_transaction(go_on)
        return decided

    async def _named(self, workspace: WorkspaceId, name: str) -> Route:
        for route in await routes.of_workspaces(self._database, [workspace]):
            if route.name == name:
                return route
        raise NotFound(f"Route {name!r} not found")


def _device_route(device: Device, ways: Sequence[Route]) -> DeviceRoute:
    route = choose_route(device, ways)
    return DeviceRoute(route=route, reason="" if route else no_route_reason(device, ways))
