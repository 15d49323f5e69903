"""Lets go of what is older than the settings say."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.store import retention, workspaces
from pushkeeper.telemetry import logger

if TYPE_CHECKING:
    from pushkeeper.store.database import Database
    from pushkeeper.store.retention import Keep

log = logger("retention")


class Retention:
    """Looks every hour, beside whoever works; of several workers one at a time does it."""

    look_every_s: float = 3600.0
    channel: str | None = None

    def __init__(self, database: Database, keep: Keep) -> None:
        self._database = database
        self._keep = keep

    async def look(self) -> None:
        """Drop partitions first: what only they referred to can go after them."""
        for name in await retention.drop_partitions(self._database, self._keep):
            log.info("partition_dropped", partition=name)
        for workspace in await workspaces.ids(self._database):
            if forgotten := await retention.forget(self._database, workspace, self._keep, datetime.now(UTC)):
                log.info("forgotten", workspace=workspace, **asdict(forgotten))

    async def aclose(self) -> None:
        """Nothing is held."""
