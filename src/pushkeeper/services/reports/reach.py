"""Reach: reachable people and devices by status, cached and refreshed in the background."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from pushkeeper.store.reports import reach
from pushkeeper.store.reports.reach import DeviceCount, Hour, Moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.reports.reach import ReachNow

__all__ = [
    "DAILY_KEPT",
    "HOURLY_KEPT",
    "HOURS",
    "DeviceCount",
    "Hour",
    "Moment",
    "ReachReports",
    "Span",
    "WorkspaceCounts",
    "is_old",
]

HOURS = 48
HOURLY_KEPT = timedelta(days=14)
DAILY_KEPT = timedelta(days=800)

# A view refreshes the count if that is fast; otherwise a worker does, using at most a fiftieth of its time.
_COUNTED_AT_ONCE_MS = 60
_FRESH = timedelta(seconds=5)
_TIMES_AS_LONG = 50


class Span(StrEnum):
    """The period of a time series."""

    DAYS_2 = "2d"
    DAYS_30 = "30d"
    YEAR = "1y"


_SPANS = {
    Span.DAYS_2: timedelta(hours=HOURS),
    Span.DAYS_30: timedelta(days=30),
    Span.YEAR: timedelta(days=365),
}


@dataclass(frozen=True, slots=True)
class WorkspaceCounts:
    """How a workspace stood when it was last counted."""

    reach: ReachNow
    devices: Sequence[DeviceCount]

    def with_status(self, *statuses: str) -> int:
        """How many devices have one of these last statuses."""
        return sum(count.devices for count in self.devices if count.status in statuses)


class ReachReports:
    """Counts the people and devices of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def now(self, workspace: WorkspaceId) -> WorkspaceCounts:
        """Reachability of a workspace: counted now if that is fast, else the last count, and a worker refreshes it."""
        found = await reach.now(self._database, workspace)
        if found is None:
            # Somebody else may count it for the first time just now: that is waited for.
            await reach.count(self._database, workspace, first=True)
            found = await reach.now(self._database, workspace) or _nothing()
        elif is_old(found, datetime.now(UTC)):
            if found.took_ms <= _COUNTED_AT_ONCE_MS:
                await reach.count(self._database, workspace)
                found = await reach.now(self._database, workspace) or found
            else:
                await reach.ask(self._database, workspace)
        return WorkspaceCounts(found, await reach.devices(self._database, workspace))

    async def over_time(self, workspace: WorkspaceId, span: Span) -> list[Moment]:
        """Devices by last status, hour by hour for two days and day by day for longer, the oldest first."""
        since = datetime.now(UTC) - _SPANS[span]
        return await reach.over_time(self._database, workspace, since, daily=span is not Span.DAYS_2)

    async def hours(self, workspace: WorkspaceId) -> list[Hour]:
        """What happened in each of the last 48 hours, the oldest first."""
        return await reach.hours(self._database, workspace, HOURS)

    async def due(self) -> list[WorkspaceId]:
        """The workspaces that were not counted in this hour, or that somebody looks at."""
        return await reach.due(self._database)

    async def count(self, workspace: WorkspaceId) -> None:
        """Count a workspace."""
        await reach.count(self._database, workspace)

    async def thin(self) -> None:
        """Forget the hours of what is long ago, and keep its days."""
        await reach.thin(self._database, HOURLY_KEPT, DAILY_KEPT)


def is_old(found: ReachNow, now: datetime) -> bool:
    """Whether to refresh a count: the longer it takes, the longer it is kept."""
    return now - found.counted_at > max(_FRESH, timedelta(milliseconds=found.took_ms * _TIMES_AS_LONG))


def _nothing() -> ReachNow:
    """Of a workspace that was deleted meanwhile."""
    return reach.ReachNow(
        people=0, people_with_device=0, people_reachable=0, counted_at=datetime.now(UTC), took_ms=0
    )
