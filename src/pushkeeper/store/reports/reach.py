"""Reach: how many people and devices there are by their last status, now and over time."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.model import WorkspaceId
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

REACH_CHANNEL = "pushkeeper_reach"  # NOTIFY on it says that somebody wants a workspace counted

# What a worker counts over all devices: tens of millions take minutes, for which nobody waits.
COUNT_WITHIN_S = 600.0
COUNT_MEMORY = "set local work_mem = '64MB'"

MOST_VERSIONS = 30  # of an app; the rest, the rarest, are counted together
OTHER_VERSIONS = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How many people there are, have a device, and have one that is not known to refuse."""

    people: int
    people_with_device: int
    people_reachable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachNow(Reach):
    """The same, with when it was counted and how long that took."""

    counted_at: datetime
    took_ms: int


class DeviceCount(msgspec.Struct, frozen=True):
    """How many devices of a platform and app version have a last status."""

    platform: str
    app_version: str
    status: str
    devices: int


@dataclass(frozen=True, slots=True)
class Moment:
    """How many devices had each last status at a time."""

    at: datetime
    devices: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """What happened in an hour: pushes that were accepted, devices that bounced, were suppressed, and came back."""

    at: datetime
    accepted: int
    bounced: int
    suppressed: int
    revived: int


async def count(database: Database, workspace: WorkspaceId, *, first: bool = False) -> bool:
    """Count a workspace, and keep the count as that of this hour if it is the first; False where another does so now.

    The `first` of all is waited for instead.
    """

    async def work(connection: Connection) -> bool:
        if first:
            await connection.execute(SQL["lock"], workspace)
            if await connection.fetchrow(SQL["now"], workspace) is not None:
                return False
        elif not await connection.fetchval(SQL["try_lock"], workspace):
            return False
        started = time.perf_counter()
        await connection.execute(COUNT_MEMORY)
        await connection.execute(SQL["forget_counts"], workspace)
        most = MOST_VERSIONS, OTHER_VERSIONS
        await connection.execute(SQL["count_devices"], workspace, *most, timeout=COUNT_WITHIN_S)
        counted = await connection.fetchrow(SQL["count_people"], workspace, timeout=COUNT_WITHIN_S)
        assert counted is not None  # noqa: S101 - an aggregate has a row
        took_ms = int((time.perf_counter() - started) * 1000)
        await connection.execute(SQL["put"], workspace, took_ms, *counted.values())
        await connection.execute(SQL["keep_hour"], workspace)
        return True

    return await database.of(workspace).in_transaction(work)


async def due(database: Database) -> list[WorkspaceId]:
    """The workspaces that were not counted in this hour, and those that somebody wants counted."""
    return [WorkspaceId(row["workspace_id"]) for row in await database.rows(SQL["due"])]


async def ask(database: Database, workspace: WorkspaceId) -> None:
    """Want a workspace counted, by a worker."""

    async def work(connection: Connection) -> None:
        await connection.execute(SQL["ask"], workspace)
        await connection.execute(f"notify {REACH_CHANNEL}")

    await database.of(workspace).in_transaction(work)


async def now(database: Database, workspace: WorkspaceId) -> ReachNow | None:
    """How a workspace stood when it was last counted; None before that."""
    row = await database.of(workspace).row(SQL["now"], workspace)
    return None if row is None else ReachNow(**row)


async def devices(database: Database, workspace: WorkspaceId) -> list[DeviceCount]:
    """Devices by platform, app version and last status at the last count."""
    return [
        DeviceCount(*row.values()) for row in await database.of(workspace).rows(SQL["devices"], workspace)
    ]


async def over_time(
    database: Database, workspace: WorkspaceId, since: datetime, *, daily: bool
) -> list[Moment]:
    """Devices by last status, hour by hour or day by day, the oldest first."""
    found: dict[datetime, dict[str, int]] = defaultdict(dict)
    for row in await database.reading(workspace).rows(SQL["over_time"], workspace, since, daily):
        found[row["at"]][row["status"]] = row["devices"]
    return [Moment(at, counts) for at, counts in found.items()]


async def hours(database: Database, workspace: WorkspaceId, hours: int) -> list[Hour]:
    """Events by hour, oldest first; the last is the current hour."""
    return [Hour(**row) for row in await database.reading(workspace).rows(SQL["hours"], workspace, hours)]


async def thin(database: Database, hourly: timedelta, daily: timedelta) -> None:
    """Keep of what is older than `hourly` the first count of each day, and nothing that is older than `daily`."""
    await database.rows(SQL["thin"], hourly, daily)
