"""Insights: the reports that somebody looks at, over all of a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from pushkeeper.core.devices import token_age
from pushkeeper.store.reports import insights
from pushkeeper.store.reports.insights import Bounce, BounceDay, Insight, PushDay, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushkeeper.core.devices.token_age import AgeBand, ExpiryWeek
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.reports.insights import LastCount

__all__ = [
    "MOST_BOUNCES",
    "MOST_DAYS",
    "Bounce",
    "BounceDay",
    "Cohort",
    "Counted",
    "Insights",
    "PushDay",
    "Reason",
    "Revival",
]

T = TypeVar("T")

MOST_DAYS = 800
MOST_BOUNCES = 1_000

# A view refreshes the count if that is fast; otherwise a worker does, using at most a fiftieth of its time.
_COUNTED_AT_ONCE_MS = 60
_FRESH = timedelta(seconds=30)
_TIMES_AS_LONG = 50


class Cohort(msgspec.Struct, frozen=True):
    """People who signed up in a month, by reachability: their best device, or none."""

    month: str
    people: int
    reachable: int
    bounced: int
    suppressed: int
    without_device: int


class Revival(msgspec.Struct, frozen=True, kw_only=True):
    """Devices that bounced or were suppressed in a month, and what happened next.

    Attributes:
        accepted: a push was accepted, which reset its bounces.
        refused: rejected again.
        revived: registered again by the same person.
        moved: registered by somebody else.
        undone: the bounce was reverted.
        deleted: logged out, or deleted.
        still: nothing happened.
        median_s: median time until registered again.
    """

    month: str
    status: str
    devices: int
    accepted: int
    refused: int
    revived: int
    moved: int
    undone: int
    deleted: int
    still: int
    median_s: float | None


@dataclass(frozen=True, slots=True)
class Counted(Generic[T]):
    """A count over all devices, and its time."""

    counted_at: datetime
    found: T


class Insights:
    """Reports on all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cohorts(self, workspace: WorkspaceId, *, waits: bool = True) -> Counted[list[Cohort]] | None:
        """People by the month of their creation, oldest first.

        A count over all devices is as old as fifty times its duration. A first count is made now if the caller
        `waits`, else by a worker; it is None until then.
        """
        return await self._counted(workspace, Insight.COHORTS, waits, lambda found: _rows(found, Cohort))

    async def revivals(self, workspace: WorkspaceId, *, waits: bool = True) -> Counted[list[Revival]] | None:
        """What happened next to devices that bounced or were suppressed, by month for a year; likewise."""
        return await self._counted(workspace, Insight.REVIVALS, waits, lambda found: _rows(found, Revival))

    async def token_ages(
        self, workspace: WorkspaceId, *, waits: bool = True
    ) -> Counted[list[AgeBand]] | None:
        """Devices by platform and by how long ago they were last used; likewise."""
        return await self._counted(
            workspace, Insight.TOKENS, waits, lambda found: token_age.ages(_rows(found, token_age.UsageCount))
        )

    async def token_calendar(
        self, workspace: WorkspaceId, *, waits: bool = True
    ) -> Counted[list[ExpiryWeek]] | None:
        """The weeks in which FCM forgets Android devices that are not used any more; likewise."""
        today = datetime.now(UTC).date()
        return await self._counted(
            workspace,
            Insight.TOKENS,
            waits,
            lambda found: token_age.calendar(_rows(found, token_age.UsageCount), today),
        )

    async def pushes(self, workspace: WorkspaceId, days: int) -> list[PushDay]:
        """Outcomes of the last days (UTC), oldest first; they are kept when the pushes are deleted."""
        return await insights.pushes(self._database, workspace, days)

    async def reasons(self, workspace: WorkspaceId, days: int) -> list[Reason]:
        """Why pushes did not reach their devices, what is most frequent first."""
        return await insights.reasons(self._database, workspace, days)

    async def bounces(self, workspace: WorkspaceId, days: int) -> list[Bounce]:
        """Refusals by route, word, platform and app version, the most frequent thousand."""
        return await insights.bounces(self._database, workspace, days, MOST_BOUNCES)

    async def bounces_by_day(self, workspace: WorkspaceId, days: int) -> list[BounceDay]:
        """Refusals by word, the oldest day first."""
        return await insights.bounces_by_day(self._database, workspace, days)

    async def due(self) -> list[tuple[WorkspaceId, Insight]]:
        """What somebody wants counted."""
        return await insights.due(self._database)

    async def count(self, of: tuple[WorkspaceId, Insight]) -> None:
        """Count it."""
        await insights.count(self._database, *of)

    async def fold_days(self) -> None:
        """Put together what is counted of days that are over."""
        await insights.fold_days(self._database)

    async def _counted(
        self,
        workspace: WorkspaceId,
        insight: Insight,
        waits: bool,  # noqa: FBT001 - a keyword of all who call it
        read: Callable[[Sequence[dict[str, Any]]], T],
    ) -> Counted[T] | None:
        found = await insights.last(self._database, workspace, insight)
        now = datetime.now(UTC)
        if (found is None and waits) or (
            found is not None and _is_old(found, now) and found.took_ms <= _COUNTED_AT_ONCE_MS
        ):
            await insights.count(self._database, workspace, insight)
            found = await insights.last(self._database, workspace, insight) or found
        elif found is None or _is_old(found, now):
            await insights.ask(self._database, workspace, insight)
        return None if found is None else Counted(found.counted_at, read(found.found))


def _is_old(found: LastCount, now: datetime) -> bool:
    return now - found.counted_at > max(_FRESH, timedelta(milliseconds=found.took_ms * _TIMES_AS_LONG))


def _rows(found: Sequence[dict[str, Any]], kind: type[T]) -> list[T]:
    return msgspec.convert(found, list[kind])  # type: ignore[valid-type]
