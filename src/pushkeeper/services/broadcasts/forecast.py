"""Preflight: what is to be expected of a broadcast before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core.broadcasts import forecast
from pushkeeper.core.broadcasts.forecast import Asks, Facts, RouteState, ZoneState
from pushkeeper.core.delivery.rate_limit import FCM_PER_S
from pushkeeper.core.delivery.route_choice import choose_route
from pushkeeper.core.model import Content, Provider
from pushkeeper.store.broadcasts import forecasts
from pushkeeper.store.broadcasts.planning import Address
from pushkeeper.store.delivery import routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.broadcasts.forecast import Kind, Preflight
    from pushkeeper.core.model import Platform, TokenShape, WorkspaceId
    from pushkeeper.store.broadcasts.planning import Whom
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.delivery.routes import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A broadcast to check: its audience, content and rate; `zone` as in a preflight's facts."""

    workspace_id: WorkspaceId
    broadcast_id: int
    whom: Whom
    content: Content
    asks: Asks
    per_s: float | None
    zone: str | None


class Preflights:
    """Looks at broadcasts before they are sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, flight: Flight) -> Preflight:
        """What is to be expected of it, as things stand now.

        Raises:
            TooSlow: its audience cannot be counted within a minute.
        """
        workspace, broadcast_id, whom = flight.workspace_id, flight.broadcast_id, flight.whom
        kinds = await forecasts.kinds(
            self._database,
            workspace,
            broadcast_id,
            whom,
            flight.asks,
            by_zone=flight.zone is not None,
        )
        unknown_zones = {}
        if any(kind.zone is ZoneState.UNKNOWN for kind in kinds):
            unknown_zones = await forecasts.unknown_zones(self._database, workspace, broadcast_id, whom)
        people = await forecasts.people(self._database, workspace, broadcast_id, whom)
        facts = Facts(
            at=datetime.now(UTC),
            people=people,
            kinds=kinds,
            routes=await self._routes(workspace, kinds),
            history=await forecasts.history(self._database, workspace),
            per_s=flight.per_s,
            fastest_per_s=await forecasts.fastest_per_s(self._database, workspace),
            zone=flight.zone,
            unknown_zones=unknown_zones,
        )
        return forecast.foresee(flight.content, facts)

    async def _routes(
        self, workspace: WorkspaceId, kinds: Sequence[Kind]
    ) -> dict[tuple[Platform, str, str, TokenShape], RouteState]:
        """The route of each kind of device, as it stands."""
        ways = await routes.of_workspaces(self._database, [workspace])
        found: dict[tuple[Platform, str, str, TokenShape], RouteState] = {}
        for address in {Address(kind.platform, kind.app, kind.environment, kind.shape) for kind in kinds}:
            route = choose_route(address, ways)
            if route is not None:
                found[address] = _state(route)
        return found


def _state(route: Route) -> RouteState:
    bounds = [bound for bound in (route.max_pushes_per_s, route.slowed_to_per_s) if bound]
    if route.provider is Provider.FCM:
        bounds.append(FCM_PER_S)
    return RouteState(route.name, route.pause_reason, float(min(bounds)) if bounds else None)
