"""Devices as one pages through them, those of the newest people first; and all that happened to one of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.core.filters.nodes import And, Unit
from pushkeeper.core.model import DeviceId, PersonId
from pushkeeper.store.audiences import filter_sql
from pushkeeper.store.db import pagination
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.devices.devices import Device, HistoryLine, PushLine, as_device

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Row

SQL = load_queries(__name__)

_EVERYTHING = And(())
_SAMPLED_PAGES = 300


class Key(NamedTuple):
    """The position of a device in its workspace."""

    person_id: int
    device_id: bytes


FIRST, _LAST = Key((1 << 63) - 1, b""), Key(0, b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDevice:
    """A device, why it was last refused, and what its person is known by."""

    device: Device
    failure_reason: str | None
    id: str | None
    email: str | None

    @property
    def key(self) -> Key:
        return Key(self.device.person_id, self.device.device_id)


class LineKey(NamedTuple):
    """The position of a line in its device's history."""

    at: datetime
    history_id: int


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A line of history, and its position."""

    line: HistoryLine
    key: LineKey


async def page(
    database: Database,
    workspace: WorkspaceId,
    node: Node | None,
    *,
    after: Key,
    limit: int,
    unit: Unit = Unit.DEVICE,
) -> pagination.Page[ShownDevice, Key]:
    """Devices of which, or of whose people, a filter is true, after one of them."""
    where = filter_sql.condition(node or _EVERYTHING, first=7, now=datetime.now(UTC), unit=unit)
    query = SQL["page"].replace("{condition}", where.sql)

    statements = database.surveying(workspace) if node else database.of(workspace)

    async def read(at: Key, rows: int, look: int) -> tuple[Sequence[ShownDevice], Key | None]:
        bound = await statements.row(SQL["bound"], workspace, *at, look) if node else None
        until = Key(*bound.values()) if bound else _LAST
        found = await statements.rows_with_custom_plan(query, workspace, *at, *until, rows, *where.parameters)
        some = [as_shown(row) for row in found]
        if len(some) == rows:
            return some, some[-1].key
        return some, until if bound else None

    if node:
        await database.know(workspace)
    return await pagination.filled(read, after, limit)


async def read(database: Database, workspace: WorkspaceId, device: DeviceId) -> ShownDevice | None:
    """The device of this key."""
    row = await database.of(workspace).row(SQL["read"], workspace, device)
    return None if row is None else as_shown(row)


async def history(
    database: Database, workspace: WorkspaceId, device: DeviceId, *, before: LineKey | None, limit: int
) -> list[HistoryRow]:
    """What happened to the device of this key before something that did, the newest first; it outlives the device."""
    at, history_id = before or (None, None)
    rows = await database.of(workspace).rows(SQL["history"], workspace, device, at, history_id, limit)
    return [_line(row) for row in rows]


async def pushes(database: Database, device: Device, *, before: UUID | None, limit: int) -> list[PushLine]:
    """Outcomes of pushes to a device before a message, since its person has it, newest message first."""
    rows = await database.of(device.workspace_id).rows(
        SQL["pushes"], device.workspace_id, device.person_id, device.device_id, before, limit
    )
    return [PushLine(**row) for row in rows]


async def some(
    database: Database, workspace: WorkspaceId, statuses: Sequence[str], *, after: bytes, limit: int
) -> list[ShownDevice]:
    """Devices with one of these last statuses, from a key on and around: of a random key, random ones."""
    rows = await database.of(workspace).rows_with_custom_plan(
        SQL["some"], workspace, list(statuses), after, limit
    )
    return [as_shown(row) for row in rows]


async def share(database: Database, workspace: WorkspaceId, node: Node) -> tuple[int, int]:
    """Of how many devices of a sample a filter is true, and how many were looked at: those of a few hundred disk pages."""
    where = filter_sql.condition(node, first=3, now=datetime.now(UTC), unit=Unit.DEVICE)
    people = "join people p using (workspace_id, person_id)" if where.of_people else ""
    query = SQL["share"].replace("{people}", people).replace("{condition}", where.sql)
    percent = await database.of(workspace).value(SQL["percent"], _SAMPLED_PAGES)
    statements = database.surveying(workspace)
    [row] = await statements.rows_with_custom_plan(query, workspace, percent, *where.parameters)
    return row["matching"], row["looked_at"]


def as_shown(row: Row) -> ShownDevice:
    """The device of a row, and what is shown beside it."""
    facts = dict(row)
    beside = {name: facts.pop(name) for name in ("failure_reason", "id", "email")}
    return ShownDevice(device=as_device(facts), **beside)


def _line(row: Row) -> HistoryRow:
    facts = dict(row)
    history_id = facts.pop("history_id")
    for name in ("from_person_id", "to_person_id"):
        facts[name] = None if facts[name] is None else PersonId(facts[name])
    line = HistoryLine(**facts)
    return HistoryRow(line, LineKey(line.at, history_id))
