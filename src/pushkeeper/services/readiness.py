"""Readiness: whether a call that writes would be answered now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.services.metrics_snapshot import CachedAnswer
from pushkeeper.store.admin import diagnostics
from pushkeeper.store.db import migrate

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database

log = logger("readiness")

FRESH_FOR_S = 1.0
WITHIN_S = 3.0


class Readiness:
    """Asks the database at most once a second, however many ask us, and for three seconds at most."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._in_the_way = CachedAnswer(self._look, fresh_for_s=FRESH_FOR_S)

    async def in_the_way(self) -> str:
        """What keeps a call from being answered; empty when nothing does."""
        return await self._in_the_way.current()

    async def _look(self) -> str:
        try:
            with isolated(log, "readiness_not_known", passing=(TimeoutError, Unreachable)) as tried:
                async with asyncio.timeout(WITHIN_S):
                    if behind := await migrate.pending(self._database):
                        names = ", ".join(f"{migration.number:04d} {migration.name}" for migration in behind)
                        return f"migrations not applied: {names}; run `pushkeeper migrate`"
                    await diagnostics.write(self._database)
        except TimeoutError:
            return f"the database did not write within {WITHIN_S:g} s"
        except Unreachable as error:
            return error.message
        return "" if tried.error is None else "the database is unavailable; see the log"
