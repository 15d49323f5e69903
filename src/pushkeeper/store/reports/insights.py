"""Insights: cached reports over all devices, and daily series."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.model import WorkspaceId
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.reports.reach import COUNT_MEMORY, COUNT_WITHIN_S, REACH_CHANNEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)


class Insight(StrEnum):
    """What is counted over all devices."""

    COHORTS = "cohorts"
    REVIVALS = "revivals"
    TOKENS = "tokens"


_COUNTING = {
    Insight.COHORTS: SQL["cohorts"],
    Insight.REVIVALS: SQL["revivals"],
    Insight.TOKENS: SQL["tokens"],
}


@dataclass(frozen=True, slots=True)
class LastCount:
    """The last result, and how long it took."""

    counted_at: datetime
    took_ms: int
    found: Sequence[dict[str, Any]]


class PushDay(msgspec.Struct, frozen=True):
    """Pushes to a platform with this outcome on a day (UTC)."""

    day: date
    platform: str
    ending: str
    pushes: int


class Reason(msgspec.Struct, frozen=True):
    """A failure reason and its number of pushes; `provider_reason` is the provider code."""

    ending: str
    reason: str
    provider_reason: str
    pushes: int


class Bounce(msgspec.Struct, frozen=True):
    """The number of rejected pushes, by route, reason, platform and app version."""

    route: str
    provider: str
    provider_reason: str
    platform: str
    app: str
    app_version: str
    pushes: int


class BounceDay(msgspec.Struct, frozen=True):
    """The number of rejected pushes with a provider code on a day (UTC)."""

    day: date
    provider: str
    provider_reason: str
    pushes: int


async def count(database: Database, workspace: WorkspaceId, insight: Insight) -> bool:
    """Run the count and store its result; False if another process is running it."""

    async def work(connection: Connection) -> bool:
        if not await connection.fetchval(SQL["try_lock"], workspace, insight.value):
            return False
        await connection.execute(COUNT_MEMORY)
        started = time.perf_counter()
        rows = await connection.fetch(_COUNTING[insight], workspace, timeout=COUNT_WITHIN_S)
        took_ms = int((time.perf_counter() - started) * 1000)
        await connection.execute(SQL["put"], workspace, insight.value, took_ms, [dict(row) for row in rows])
        return True

    await database.know(workspace)
    return await database.of(workspace).in_transaction(work)


async def last(database: Database, workspace: WorkspaceId, insight: Insight) -> LastCount | None:
    """The last result; None before the first."""
    row = await database.of(workspace).row(SQL["last"], workspace, insight.value)
    return None if row is None else LastCount(**row)


async def ask(database: Database, workspace: WorkspaceId, insight: Insight) -> None:
    """Want it counted, by a worker."""

    async def work(connection: Connection) -> None:
        await connection.execute(SQL["ask"], workspace, insight.value)
        await connection.execute(f"notify {REACH_CHANNEL}")

    await database.of(workspace).in_transaction(work)


async def due(database: Database) -> list[tuple[WorkspaceId, Insight]]:
    """What somebody wants counted."""
    rows = await database.rows(SQL["due"])
    return [(WorkspaceId(row["workspace_id"]), Insight(row["name"])) for row in rows]


async def pushes(database: Database, workspace: WorkspaceId, days: int) -> list[PushDay]:
    """Outcomes of the last days, today included, oldest first."""
    return [
        PushDay(*row.values())
        for row in await database.reading(workspace).rows(SQL["pushes"], workspace, days)
    ]


async def reasons(database: Database, workspace: WorkspaceId, days: int) -> list[Reason]:
    """Reasons why pushes did not reach their devices in the last days, most frequent first."""
    return [
        Reason(*row.values())
        for row in await database.reading(workspace).rows(SQL["reasons"], workspace, days)
    ]


async def bounces(database: Database, workspace: WorkspaceId, days: int, limit: int) -> list[Bounce]:
    """Rejections in the last days, most frequent first."""
    return [
        Bounce(*row.values())
        for row in await database.reading(workspace).rows(SQL["bounces"], workspace, days, limit)
    ]


async def bounces_by_day(database: Database, workspace: WorkspaceId, days: int) -> list[BounceDay]:
    """Refusals by word, the oldest day first."""
    return [
        BounceDay(*row.values())
        for row in await database.reading(workspace).rows(SQL["bounces_by_day"], workspace, days)
    ]


async def fold_days(database: Database) -> None:
    """Make one row of what several connections counted of a day that is over."""
    await database.rows(SQL["fold_push_days"])
    await database.rows(SQL["fold_bounce_days"])
