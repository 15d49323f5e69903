"""Audiences: of whom, and of which devices, a filter is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core import filter_sql
from pushkeeper.core.filter import Unit
from pushkeeper.store.database import load_queries
from pushkeeper.store.devices import as_device

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.filter import Node
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.database import Database
    from pushkeeper.store.devices import Device

SQL = load_queries("audiences")

_EXAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many people an audience has, and how many devices."""

    people: int
    devices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What a filter read of people makes of devices wrongly: those that it takes in, and leaves out; and some of each."""

    wrongly_included: int
    wrongly_excluded: int
    included: list[Device]
    excluded: list[Device]


async def size(database: Database, workspace: WorkspaceId, node: Node, unit: Unit, now: datetime) -> Size:
    """How many people and devices a filter is true of."""
    condition, parameters = filter_sql.condition(node, first=2, now=now, unit=unit)
    query = SQL["devices"] if unit is Unit.DEVICE else SQL["people"]
    row = await database.row(query.replace("{condition}", condition), workspace, *parameters)
    assert row is not None  # noqa: S101 - an aggregate has a row
    return Size(**row)


async def sample(
    database: Database, workspace: WorkspaceId, node: Node, unit: Unit, *, limit: int, now: datetime
) -> list[Device]:
    """Some of the devices that a filter is true of, or of whose people; the same whenever it is asked."""
    condition, parameters = filter_sql.condition(node, first=3, now=now, unit=unit)
    return await _devices(database, workspace, condition, parameters, limit)


async def differences(database: Database, workspace: WorkspaceId, node: Node, now: datetime) -> Differences:
    """Which devices a filter is true of only as it is read of people, or only as it is read of devices."""
    of_people, of_devices, parameters = _readings(node, now, first=2)
    query = SQL["differences"].replace("{of_people}", of_people).replace("{of_devices}", of_devices)
    row = await database.row(query, workspace, *parameters)
    assert row is not None  # noqa: S101 - an aggregate has a row
    of_people, of_devices, parameters = _readings(node, now, first=3)
    included = f"{of_people} and not {of_devices}"
    excluded = f"{of_devices} and not {of_people}"
    return Differences(
        **row,
        included=await _devices(database, workspace, included, parameters, _EXAMPLES),
        excluded=await _devices(database, workspace, excluded, parameters, _EXAMPLES),
    )


def _readings(node: Node, now: datetime, *, first: int) -> tuple[str, str, list[object]]:
    """The condition as it is read of people, and of devices, and the parameters of both."""
    of_people, some = filter_sql.condition(node, first=first, now=now)
    of_devices, more = filter_sql.condition(node, first=first + len(some), now=now, unit=Unit.DEVICE)
    return of_people, of_devices, some + more


async def _devices(
    database: Database, workspace: WorkspaceId, condition: str, parameters: list[object], limit: int
) -> list[Device]:
    query = SQL["sample"].replace("{condition}", condition)
    return [as_device(row) for row in await database.rows(query, workspace, limit, *parameters)]
