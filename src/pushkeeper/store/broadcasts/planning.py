"""Plans: broadcasts cut into batches inside PostgreSQL, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pushkeeper.core.broadcasts.schedule import ZONE_BLANKS, zone_key, zones
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.model import Platform, TokenShape, minted_at
from pushkeeper.store.audiences import filter_sql
from pushkeeper.store.broadcasts import broadcasts
from pushkeeper.store.db.database import PLAN_CHANNEL, WORK_CHANNEL, columns
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.jobs import ClaimLost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime, timedelta
    from uuid import UUID

    from pushkeeper.core.broadcasts.schedule import Pass
    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import DeviceId, PersonId, RouteId, WorkspaceId
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from pushkeeper.store.db.driver import Connection, Row
    from pushkeeper.store.jobs import Claim

SQL = load_queries(__name__)

ZONE = "coalesce(d.attributes ->> 'timezone', p.attributes ->> 'timezone')"
# As `zone_key` has it; only of ASCII, as names of zones are.
ZONE_KEY = f"lower(replace(btrim({ZONE}, e{ZONE_BLANKS!r}), ' ', '_') collate \"C\")"
_PEOPLE = "join people p using (workspace_id, person_id)"
_FIRST = 14  # the parameters before it are the page's own
# Devices planned in an earlier pass: they are in a batch, or have a push, or a rejection on hold.
_NOT_YET = (
    (
        "not exists (select from pushes x where x.workspace_id = $1 and x.message_day = {day} "
        "and x.message_id = $2 and x.device_id = d.device_id)"
    ),
    (
        "not exists (select from held_verdicts h where h.workspace_id = $1 and h.message_id = $2 "
        "and h.device_id = d.device_id)"
    ),
    "d.device_id not in (select unnest(q.device_ids) from batches q where q.workspace_id = $1 and q.message_id = $2)",
)


class Address(NamedTuple):
    """What of a device decides its route."""

    platform: Platform
    app: str
    environment: str
    shape: TokenShape


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientFile:
    """A file that lists the recipients of a broadcast; unknown people are skipped, or fail all of it."""

    broadcast_id: int
    url: str
    ignore_missing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Targeting:
    """To which of a workspace's devices something goes.

    Attributes:
        now: what "within" counts back from.
        node: whose devices, or which, as `unit` says; None: all.
        listed: only those of the people who are named for the broadcast.
        device_ids: only these.
        part: only those of its zones, of which `zone` is that of devices whose own is not known.
        again: devices that are planned already, for the message of this day, are left out.
    """

    now: datetime
    node: Node | None = None
    unit: Unit = Unit.PERSON
    listed: bool = False
    device_ids: Sequence[DeviceId] | None = None
    part: Pass | None = None
    zone: str = "UTC"
    again: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A page to cut into batches.

    Attributes:
        priority: 0 is sent first.
        due_at: of the first batch; with `per_s`, the others follow at that rate, otherwise all are due at once.
        lanes: the route of each kind of device; None: no route.
        size: devices of a batch.
    """

    workspace_id: WorkspaceId
    message_id: UUID
    whom: Targeting
    priority: int
    due_at: datetime
    lanes: Mapping[Address, RouteId | None]
    size: int
    per_s: float | None = None

    def lane_columns(self) -> list[list[object]]:
        return columns([(*address, lane) for address, lane in self.lanes.items()], 5)


@dataclass(slots=True)
class Conditions:
    """Conditions in SQL over `devices d` and maybe `people p`, with their parameters from `$first` on.

    $1 is the workspace, $2 a message.
    """

    first: int
    written: list[str] = field(default_factory=list)
    parameters: list[object] = field(default_factory=list)
    of_people: bool = False

    @property
    def sql(self) -> str:
        return " and ".join(self.written) or "true"

    def add_node(self, node: Node, whom: Targeting) -> None:
        first = self.first + len(self.parameters)
        where = filter_sql.condition(node, first=first, now=whom.now, unit=whom.unit)
        self.written.append(where.sql)
        self.parameters += where.parameters
        self.of_people = self.of_people or where.of_people

    def add_zones(self, own: Sequence[str], default: str) -> None:
        self.of_people = True
        condition = f"{ZONE_KEY} = any ({self.parameter([zone_key(zone) for zone in own], 'text[]')})"
        if default in own:
            known = self.parameter(zone_keys(), "text[]")
            condition = f"({condition} or ({ZONE_KEY} = any ({known})) is not true)"
        self.written.append(condition)

    def parameter(self, value: object, kind: str) -> str:
        self.parameters.append(value)
        return f"${self.first + len(self.parameters) - 1}::{kind}"


def zone_keys() -> list[str]:
    """All zones, by the `ZONE_KEY` of their names."""
    return sorted(map(zone_key, zones()))


def conditions(whom: Targeting, *, first: int) -> Conditions:
    """The SQL condition for the devices; callers join the listed people."""
    made = Conditions(first)
    if whom.node is not None:
        made.add_node(whom.node, whom)
    if whom.device_ids is not None:
        made.written.append(f"d.device_id = any ({made.parameter(list(whom.device_ids), 'bytea[]')})")
    if whom.part is not None and whom.part.zones is not None:
        made.add_zones(whom.part.zones, whom.zone)
    if whom.again is not None:
        day = made.parameter(whom.again, "date")
        made.written += [condition.format(day=day) for condition in _NOT_YET]
    return made


async def claimed(connection: Connection, claim: Claim) -> Broadcast:
    """A broadcast that is claimed, locked until the transaction ends; `ClaimLost` where it is not to be planned now."""
    found = await broadcasts.claimed(connection, claim)
    if found is None:
        raise ClaimLost
    return found


async def file(connection: Connection, claim: Claim) -> RecipientFile:
    """The file of a broadcast that is claimed, locked until the transaction ends; `ClaimLost` where it is not to be read."""
    row = await connection.fetchrow(SQL["file"], *claim.row)
    if row is None:
        raise ClaimLost
    return RecipientFile(**row)


async def begin(
    connection: Connection, broadcast: Broadcast, message_id: UUID, saved: dict[str, Any], lives: timedelta
) -> None:
    """Create the message of a broadcast with its lifetime, and fix the saved audiences."""
    await connection.execute(
        *SQL.bind(
            "begin",
            workspace_id=broadcast.workspace_id,
            broadcast_id=broadcast.broadcast_id,
            message_id=message_id,
            minted_at=minted_at(message_id),
            lives=lives,
            saved=saved,
        )
    )


def _key(broadcast: Broadcast) -> tuple[WorkspaceId, int]:
    return broadcast.workspace_id, broadcast.broadcast_id


class Page(NamedTuple):
    """The result of planning a page.

    Attributes:
        last: the device or person after which the next page starts; None after the last page.
        devices: the number of devices in it.
        unknown: kinds of device that are missing in `lanes`: nothing was cut then.
    """

    last: Any
    devices: int
    unknown: list[Address]


def _page(row: Row, last: object) -> Page:
    return Page(last, row["devices"], [_address(*kind) for kind in row["new_kinds"] or ()])


def _address(platform: str, app: str, environment: str, shape: str) -> Address:
    return Address(Platform(platform), app, environment, TokenShape(shape))


async def devices(connection: Connection, plan: Plan, *, after: DeviceId, page: int) -> Page:
    """Cut the next page of a workspace's devices into batches."""
    where = conditions(plan.whom, first=_FIRST)
    query = SQL["devices"].replace("{people}", _PEOPLE if where.of_people else "")
    row = await connection.fetchrow(
        query.replace("{condition}", where.sql), *_arguments(plan, after, page), *where.parameters
    )
    assert row is not None  # noqa: S101 - an aggregate has a row
    return _page(row, row["last"])


async def listed(connection: Connection, plan: Plan, *, after: PersonId, page: int) -> Page:
    """Cut the devices of the next people who are named for a broadcast into batches."""
    where = conditions(plan.whom, first=_FIRST)
    query = SQL["listed"].replace("{condition}", where.sql)
    row = await connection.fetchrow(query, *_arguments(plan, after, page), *where.parameters)
    assert row is not None  # noqa: S101 - an aggregate has a row
    return _page(row, row["last"] if row["people"] == page else None)


def _arguments(plan: Plan, after: object, page: int) -> tuple[object, ...]:
    return (
        plan.workspace_id,
        plan.message_id,
        plan.priority,
        plan.due_at,
        *plan.lane_columns(),
        after,
        page,
        plan.size,
        plan.per_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a page has brought a plan: its last device or person, for how many devices, and until when slots are taken."""

    last_device: DeviceId
    last_person: PersonId
    devices: int
    slots_until: datetime | None


async def advance(connection: Connection, broadcast: Broadcast, progress: Progress) -> None:
    """Note how far a plan has come."""
    await connection.execute(
        SQL["advance"],
        *_key(broadcast),
        progress.last_device,
        progress.last_person,
        progress.devices,
        progress.slots_until,
    )


async def next_pass(connection: Connection, broadcast: Broadcast, at: datetime) -> None:
    """All who are due at this moment are planned; those of another moment come next."""
    await connection.execute(SQL["next_pass"], *_key(broadcast), at)


async def fetched(connection: Connection, claim: Claim) -> None:
    """The people of the file are listed: planners are notified at the commit."""
    await connection.execute(SQL["fetched"], *claim.row)
    await connection.execute(f"notify {PLAN_CHANNEL}")


async def planned(connection: Connection, broadcast: Broadcast) -> None:
    """Nobody is left to plan for."""
    await connection.execute(SQL["planned"], *_key(broadcast))


async def wake_workers(connection: Connection) -> None:
    """Tell workers, once this is committed, that there is something to send."""
    await connection.execute(f"notify {WORK_CHANNEL}")
