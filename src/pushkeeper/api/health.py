"""Readiness: whether a call that writes would be answered now, for those who choose whom to send calls to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pushkeeper.errors import Unreachable
from pushkeeper.observability.logs import logger
from pushkeeper.services.metrics_snapshot import Kept
from pushkeeper.store.admin import diagnostics
from pushkeeper.store.db import migrate
from pushkeeper.web import response

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database
    from pushkeeper.web.response import Answer

log = logger("readiness")

FRESH_FOR_S = 1.0
WITHIN_S = 3.0
_RETRY_AFTER = (b"retry-after", b"2")


class Readiness:
    """Asks the database at most once a second, however many ask us, and for three seconds at most."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._in_the_way = Kept(self._look, fresh_for_s=FRESH_FOR_S)

    async def __call__(self) -> Answer:
        reason = await self._in_the_way.current()
        if reason:
            return response.of_json({"status": "unavailable", "reason": reason}, 503, _RETRY_AFTER)
        return response.of_json({"status": "ok"})

    async def _look(self) -> str:
        """What is in the way; empty when nothing is."""
        try:
            async with asyncio.timeout(WITHIN_S):
                if behind := await migrate.pending(self._database):
                    names = ", ".join(f"{migration.number:04d} {migration.name}" for migration in behind)
                    return f"migrations are behind: {names}; `pushkeeper migrate` applies them"
                await diagnostics.write(self._database)
        except TimeoutError:
            return f"the database did not write within {WITHIN_S:g} s"
        except Unreachable as error:
            return error.message
        except Exception:
            log.exception("readiness_not_known")
            return "the database cannot be asked: the log says why"
        return ""


async def alive() -> Answer:
    """The process answers."""
    return response.of_json({"status": "ok"})
