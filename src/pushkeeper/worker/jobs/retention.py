"""Lets go of what is older than the settings say."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.observability.logs import logger
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import retention
from pushkeeper.worker.jobs.each import Each

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.retention import Keep
    from pushkeeper.worker.metrics import WorkerMetrics

log = logger("retention")


class Retention:
    """Runs every hour, beside other tasks; one worker at a time."""

    name = "retention"
    look_every_s: float = 3600.0
    channel: str | None = None

    def __init__(self, database: Database, keep: Keep, metrics: WorkerMetrics) -> None:
        self._database = database
        self._keep = keep
        self._steps = Each("partitions", metrics)
        self._workspaces = Each("retention", metrics)

    async def look(self) -> None:
        """Drop partitions first: what only they referred to can go after them. No workspace holds up another."""
        await self._steps.do(["all"], self._drop_partitions)
        await self._workspaces.do(await workspaces.ids(self._database), self._forget)

    async def _drop_partitions(self, _: str) -> None:
        for name in await retention.drop_partitions(self._database, self._keep):
            log.info("partition_dropped", partition=name)

    async def _forget(self, workspace: WorkspaceId) -> None:
        if forgotten := await retention.forget(self._database, workspace, self._keep, datetime.now(UTC)):
            log.info("forgotten", workspace=workspace, **asdict(forgotten))

    async def aclose(self) -> None:
        """Nothing is held."""
