"""Planning: any worker cuts due broadcasts into batches, page by page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pushkeeper.core.delivery.route_choice import choose_route
from pushkeeper.core.filters import from_text
from pushkeeper.core.filters import saved as filter_saved
from pushkeeper.core.model import message_day
from pushkeeper.errors import BadRequest
from pushkeeper.store.broadcasts import planning
from pushkeeper.store.broadcasts.planning import Plan, Progress, Targeting
from pushkeeper.store.delivery import routes
from pushkeeper.store.jobs import MOST_BATCHES
from pushkeeper.store.messages import messages
from pushkeeper.store.people import segments

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import RouteId, WorkspaceId
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from pushkeeper.store.broadcasts.planning import Address, Page
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.delivery.routes import Route
    from pushkeeper.store.jobs import Claim

PRIORITY = 1  # 0 is transactional
DEVICES_PER_BATCH = 500
PAGE_S = 50.0  # that the statements of a page may take
FIRST_PAGE = 2_000  # small, so that the first push leaves soon
PAGE = 20_000
_MOST_LANES = 100
MOST_KINDS = 1_000


class Planning:
    """Plans the broadcasts of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lanes: dict[int, _Lanes] = {}

    async def page(self, claim: Claim) -> None:
        """Plan the next page of a broadcast that is claimed; `ClaimLost` where it was cancelled or paused meanwhile.

        Raises:
            BadRequest: something that it names was deleted.
            TooSlow: finding its recipients takes too long.
        """
        await self._database.know(claim.workspace_id)
        lanes = await self._lanes_of(claim)

        async def work(connection: Connection) -> None:
            broadcast = await planning.claimed(connection, claim)
            await self._plan(connection, broadcast, lanes)
            await planning.wake_workers(connection)

        await self._database.in_transaction(work, within_s=PAGE_S)

    async def _plan(self, connection: Connection, broadcast: Broadcast, lanes: _Lanes) -> None:
        if broadcast.saved is None:
            broadcast = await _begin(connection, broadcast)
        plan = _plan_of(broadcast, lanes)
        if broadcast.listed:
            progress, over = await _listed_page(connection, broadcast, plan, lanes)
        else:
            progress, over = await _page(connection, broadcast, plan, lanes)
        await planning.advance(connection, broadcast, progress)
        if not over:
            return
        if broadcast.following is not None:
            await planning.next_pass(connection, broadcast, broadcast.following.at)
        else:
            await planning.planned(connection, broadcast)
            self._lanes.pop(broadcast.broadcast_id, None)

    async def _lanes_of(self, claim: Claim) -> _Lanes:
        """The lane of each kind of device: chosen once, as the last hop looks again."""
        if (known := self._lanes.get(claim.item_id)) is None:
            known = _Lanes(await routes.of_workspaces(self._database, [claim.workspace_id]))
            # Another process may plan its last page, so that nobody here takes it out.
            while len(self._lanes) >= _MOST_LANES:
                self._lanes.pop(next(iter(self._lanes)))
            self._lanes[claim.item_id] = known
        return known


class _Lanes:
    """Which route each kind of device of a broadcast is for, of the kinds that its pages had until now."""

    def __init__(self, ways: Sequence[Route]) -> None:
        self._ways = ways
        self.known: dict[Address, RouteId | None] = {}

    async def cut(self, page: Callable[[], Awaitable[Page]]) -> Page:
        """Cut a page, again where it has kinds that no page before had: to look for them all first would read every device."""
        # An app is whatever a device says, so that there may be as many as there are devices.
        if len(self.known) > MOST_KINDS:
            self.known.clear()
        while (found := await page()).unknown:
            for kind in found.unknown:
                route = choose_route(kind, self._ways)
                self.known[kind] = None if route is None else route.route_id
        return found


async def _begin(connection: Connection, broadcast: Broadcast) -> Broadcast:
    """Create its message, and fix what all pages must share: the definitions of its audiences.

    The message gets its ID only now: pushes are in the partition of the ID's day, and are retained like others sent
    on that day.
    """
    saved = await _definitions(connection, broadcast)
    message_id = messages.new_id()
    lives_s = broadcast.schedule.expires_after_s
    lives = messages.LIVES if lives_s is None else timedelta(seconds=lives_s)
    await planning.begin(connection, broadcast, message_id, saved, lives)
    started_at = broadcast.started_at or datetime.now(UTC)
    return replace(broadcast, saved=saved, message_id=message_id, started_at=started_at)


def _plan_of(broadcast: Broadcast, lanes: _Lanes) -> Plan:
    assert broadcast.message_id is not None  # noqa: S101 - it has begun
    per_s = broadcast.per_s
    due_at = broadcast.pass_at or datetime.now(UTC)
    whom = Targeting(
        now=broadcast.started_at or due_at,
        node=_node(broadcast),
        unit=broadcast.unit,
        device_ids=broadcast.device_ids,
        part=broadcast.part,
        zone=broadcast.schedule.time_zone,
        again=message_day(broadcast.message_id) if broadcast.number else None,
    )
    return Plan(
        workspace_id=broadcast.workspace_id,
        message_id=broadcast.message_id,
        whom=whom,
        priority=PRIORITY,
        due_at=due_at if per_s is None else max(due_at, broadcast.free_at),
        lanes=lanes.known,
        # With a rate, a batch is what may leave in a second.
        size=DEVICES_PER_BATCH if per_s is None else max(1, min(int(per_s), DEVICES_PER_BATCH)),
        per_s=per_s,
    )


async def _page(
    connection: Connection, broadcast: Broadcast, plan: Plan, lanes: _Lanes
) -> tuple[Progress, bool]:
    size = _page_size(broadcast, plan)
    found = await lanes.cut(
        lambda: planning.devices(connection, plan, after=broadcast.last_device, page=size)
    )
    last_device = found.last or broadcast.last_device
    return _progress(broadcast, plan, found.devices, last_device=last_device), found.devices < size


async def _listed_page(
    connection: Connection, broadcast: Broadcast, plan: Plan, lanes: _Lanes
) -> tuple[Progress, bool]:
    size = _page_size(broadcast, plan)
    found = await lanes.cut(lambda: planning.listed(connection, plan, after=broadcast.last_person, page=size))
    last_person = found.last or broadcast.last_person
    return _progress(broadcast, plan, found.devices, last_person=last_person), found.last is None


def _progress(broadcast: Broadcast, plan: Plan, count: int, **reached: Any) -> Progress:  # noqa: ANN401 - a device or a person
    slots_until = None if plan.per_s is None else plan.due_at + timedelta(seconds=count / plan.per_s)
    so_far = {"last_device": broadcast.last_device, "last_person": broadcast.last_person}
    return Progress(**{**so_far, **reached}, devices=count, slots_until=slots_until)


def _page_size(broadcast: Broadcast, plan: Plan) -> int:
    if plan.per_s is not None:
        return min(plan.size * MOST_BATCHES, PAGE)
    return FIRST_PAGE if not broadcast.devices else PAGE


def _node(broadcast: Broadcast) -> Node | None:
    """The audience as it was when planning began; BadFilter if it is invalid."""
    if broadcast.audience is None:
        return None
    saved = {
        int(number): segments.definition(int(number), kept)
        for number, kept in (broadcast.saved or {}).items()
    }
    return filter_saved.expanded(from_text.read(broadcast.audience), saved)


async def _definitions(connection: Connection, broadcast: Broadcast) -> dict[str, Any]:
    """The saved audiences that a broadcast's audience refers to, by number, as they are now.

    Raises:
        BadRequest: it refers to a deleted segment.
    """
    if broadcast.audience is None:
        return {}
    workspace: WorkspaceId = broadcast.workspace_id
    kept = await segments.kept(connection.fetch, workspace)
    there = await segments.ids(connection.fetch, workspace)
    found: dict[str, Any] = {}
    open_ = set(filter_saved.named(from_text.read(broadcast.audience)))
    while open_:
        number = open_.pop()
        if number not in there:
            raise BadRequest("audience", f"segment {number} does not exist any more")
        if number in kept and str(number) not in found:
            found[str(number)] = kept[number]
            open_ |= filter_saved.named(segments.definition(number, kept[number]).node)
    return found
