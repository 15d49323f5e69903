"""The listener: hears what others notify, and has everything looked at again and again while it cannot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushkeeper.store.db.database import Database

log = logger("worker")

AGAIN_S = 1.0
POLL_S = 2.0


class Listener:
    """Calls what is given for each channel, with the payload of a notification; an empty one: some may have been missed."""

    def __init__(self, database: Database, heard: Sequence[tuple[str, Callable[[str], None]]]) -> None:
        self._database = database
        self._heard = heard
        self.polls = False

    async def run(self) -> None:
        """Listen, and poll while nothing is heard, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poll())
            while True:
                with isolated(log, "worker_hears_nothing", polls_every_s=POLL_S):
                    async with self._database.listening(self._heard) as lost:
                        self.polls = False
                        self._look_everywhere()
                        await lost.wait()
                self.polls = True
                await asyncio.sleep(AGAIN_S)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            if self.polls:
                self._look_everywhere()

    def _look_everywhere(self) -> None:
        for _, call in self._heard:
            call("")
