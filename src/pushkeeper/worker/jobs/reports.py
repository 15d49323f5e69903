"""Counts people and devices once an hour, and when somebody looks; puts together, and forgets, what is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pushkeeper.store.reports.reach import REACH_CHANNEL
from pushkeeper.worker.jobs.each import Each

if TYPE_CHECKING:
    from pushkeeper.services.accounts import Users
    from pushkeeper.services.reports.insights import Insights
    from pushkeeper.services.reports.reach import ReachReports
    from pushkeeper.worker.metrics import WorkerMetrics

_CLEAN_EVERY_S = 3600.0


class Counting:
    """Checks every minute whether a count is requested, and on notification; any worker may run it."""

    name = "statistics"
    look_every_s: float = 60.0
    channel: str | None = REACH_CHANNEL

    def __init__(self, reach: ReachReports, insights: Insights, users: Users, metrics: WorkerMetrics) -> None:
        self._reach = reach
        self._insights = insights
        self._users = users
        self._cleaned_at = -_CLEAN_EVERY_S
        self._steps = Each("statistics", metrics)
        self._workspaces = Each("count", metrics)
        self._insights_of = Each("insight", metrics)

    async def look(self) -> None:
        """Run requested counts; no step and no workspace blocks another."""
        steps = [self._count_workspaces, self._count_insights]
        if time.monotonic() - self._cleaned_at >= _CLEAN_EVERY_S:
            self._cleaned_at = time.monotonic()
            steps += [self._reach.thin, self._insights.fold_days, self._users.clean]
        named = {step.__name__: step for step in steps}
        await self._steps.do(named, lambda name: named[name]())

    async def _count_workspaces(self) -> None:
        await self._workspaces.do(await self._reach.due(), self._reach.count)

    async def _count_insights(self) -> None:
        await self._insights_of.do(await self._insights.due(), self._insights.count)

    async def aclose(self) -> None:
        """Nothing is held."""
