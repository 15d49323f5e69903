"""Estimates of broadcasts before they are sent, computed by workers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.broadcasts import forecast
from pushkeeper.core.broadcasts.forecast import ForecastInput, RouteState, ZoneState
from pushkeeper.core.delivery.rate_limit import FCM_PER_S
from pushkeeper.core.delivery.route_choice import choose_route
from pushkeeper.core.model import Provider
from pushkeeper.errors import NotFound, TooSlow
from pushkeeper.services.audiences import read_whole
from pushkeeper.services.broadcasts.render_checks import rules_of
from pushkeeper.store.broadcasts import broadcasts, estimates, forecasts
from pushkeeper.store.broadcasts.planning import Address, Targeting
from pushkeeper.store.delivery import routes
from pushkeeper.store.jobs import ClaimLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.broadcasts.forecast import DeviceGroup, Preflight
    from pushkeeper.core.model import DeviceId, Platform, TokenShape, WorkspaceId
    from pushkeeper.services.broadcasts.render_checks import RenderChecks, UnrenderablePage
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.delivery.routes import Route
    from pushkeeper.store.jobs import Claim

TOO_SLOW = "counting this audience timed out"


async def audience_of(database: Database, workspace: WorkspaceId, broadcast: Broadcast) -> Targeting:
    """The devices that a broadcast would go to now.

    Raises:
        BadRequest: its saved audience does not exist any more.
    """
    node = None
    if broadcast.audience is not None:
        node = await read_whole(database.of(workspace).rows, workspace, broadcast.audience)
    return Targeting(
        now=datetime.now(UTC),
        node=node,
        unit=broadcast.unit,
        listed=broadcast.listed,
        device_ids=broadcast.device_ids,
    )


class Estimates:
    """Makes the estimates of all workspaces' broadcasts."""

    def __init__(self, database: Database, render_checks: RenderChecks) -> None:
        self._database = database
        self._render_checks = render_checks

    async def make(self, claim: Claim) -> None:
        """Make an estimate that is claimed and save it; `ClaimLost` where another was requested meanwhile.

        Raises:
            BadRequest: its saved audience does not exist any more.
            TooManyRequests: too many audiences are being counted already.
        """
        workspace, number = claim.workspace_id, claim.item_id
        broadcast = await broadcasts.one(self._database, workspace, number)
        if broadcast is None:
            raise ClaimLost
        found = await self._preflight(broadcast)

        async def work(connection: Connection) -> None:
            # In the order in which a change locks both.
            await broadcasts.lock(connection, workspace, number)
            asked_at = await estimates.lock(connection, claim)
            if asked_at is None:
                raise ClaimLost
            await _save(connection, broadcast, found, asked_at)

        await self._database.of(workspace).in_transaction(work)

    async def make_now(self, workspace: WorkspaceId, broadcast_id: int) -> Preflight | None:
        """Compute and save the estimate of a broadcast at once, even if a worker does so too; None when it takes too long.

        Raises:
            BadRequest: its saved audience does not exist any more.
            NotFound: the broadcast does not exist.
            TooManyRequests: too many audiences are being counted already.
        """
        broadcast, now = await broadcasts.one(self._database, workspace, broadcast_id), datetime.now(UTC)
        if broadcast is None:
            raise NotFound("Broadcast not found")
        found = await self._preflight(broadcast)
        asked_at = now if broadcast.estimate is None else broadcast.estimate.asked_at

        async def work(connection: Connection) -> None:
            now = await broadcasts.lock(connection, workspace, broadcast_id)
            if now is not None and now.version == broadcast.version:
                await _save(connection, broadcast, found, asked_at)

        await self._database.of(workspace).in_transaction(work)
        return found

    async def _preflight(self, broadcast: Broadcast) -> Preflight | None:
        try:
            return await self.look(broadcast)
        except TooSlow:
            return None  # another attempt would take as long

    async def look(self, broadcast: Broadcast) -> Preflight:
        """Recalculate the estimate.

        Raises:
            TooSlow: its audience cannot be counted within a minute.
        """
        workspace, broadcast_id = broadcast.workspace_id, broadcast.broadcast_id
        whom = await audience_of(self._database, workspace, broadcast)
        zone = broadcast.schedule.time_zone if broadcast.schedule.by_zone else None
        asks = rules_of(broadcast)
        kinds = await forecasts.kinds(
            self._database,
            workspace,
            broadcast_id,
            whom,
            asks,
            by_zone=zone is not None,
        )
        unknown_zones = {}
        if any(kind.zone is ZoneState.UNKNOWN for kind in kinds):
            unknown_zones = await forecasts.unknown_zones(self._database, workspace, broadcast_id, whom)
        people = await forecasts.people(self._database, workspace, broadcast_id, whom)
        facts = ForecastInput(
            at=datetime.now(UTC),
            people=people,
            kinds=kinds,
            routes=await self._routes(workspace, kinds),
            history=await forecasts.history(self._database, workspace),
            per_s=broadcast.per_s,
            fastest_per_s=await forecasts.fastest_per_s(self._database, workspace),
            zone=zone,
            unknown_zones=unknown_zones,
            rendering=await self._render_checks.check(broadcast, whom),
        )
        return forecast.foresee(broadcast.content, facts)

    async def unrenderable(
        self, workspace: WorkspaceId, broadcast_id: int, *, after: DeviceId
    ) -> UnrenderablePage:
        """The devices after a key that a broadcast would fail for now, because its content cannot be rendered for them.

        Raises:
            BadRequest: its saved audience does not exist any more.
            NotFound: the broadcast does not exist.
            TooSlow: its audience cannot be read within a minute.
        """
        broadcast = await broadcasts.one(self._database, workspace, broadcast_id)
        if broadcast is None:
            raise NotFound("Broadcast not found")
        whom = await audience_of(self._database, workspace, broadcast)
        return await self._render_checks.page(broadcast, whom, after=after)

    async def _routes(
        self, workspace: WorkspaceId, kinds: Sequence[DeviceGroup]
    ) -> dict[tuple[Platform, str, str, TokenShape], RouteState]:
        """The route of each kind of device."""
        ways = await routes.of_workspaces(self._database, [workspace])
        found: dict[tuple[Platform, str, str, TokenShape], RouteState] = {}
        for address in {Address(kind.platform, kind.app, kind.environment, kind.shape) for kind in kinds}:
            route = choose_route(address, ways)
            if route is not None:
                found[address] = _state(route)
        return found


async def _save(
    connection: Connection, broadcast: Broadcast, found: Preflight | None, asked_at: datetime
) -> None:
    if found is not None:
        await broadcasts.set_preflight(connection, broadcast, msgspec.to_builtins(found), asked_at)
    failure = TOO_SLOW if found is None else None
    await estimates.finish(connection, broadcast.workspace_id, broadcast.broadcast_id, failure=failure)


def _state(route: Route) -> RouteState:
    bounds = [bound for bound in (route.max_pushes_per_s, route.slowed_to_per_s) if bound]
    if route.provider is Provider.FCM:
        bounds.append(FCM_PER_S)
    return RouteState(route.name, route.pause_reason, float(min(bounds)) if bounds else None)
