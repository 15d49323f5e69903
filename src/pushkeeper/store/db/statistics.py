"""Keep the planner's statistics close to the real row counts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.store.db import patience
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

SQL = load_queries(__name__)
log = logger("database")

_SURVEYED = ("people", "devices")
_FIRST_LOOK = 8  # transactions
_MANY = 300  # rows; of fewer, even each with each is soon joined
_FAR_OFF = 20  # times as many as the server expects
# Only the owner may; somebody else may look already, or clean.
_LOOKING_AGAIN = "set local role none; set local lock_timeout = '2s'"


class Statistics:
    """Has tables looked at again of which the server knows too little."""

    def __init__(self, acquired: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]) -> None:
        self._acquired = acquired
        self._known: set[tuple[int, str]] = set()
        self._learning = asyncio.Lock()
        self._commits = 0
        self._looking: set[asyncio.Task[None]] = set()

    async def know(self, workspace: int) -> bool:
        """Let them know of a workspace before much of it is read; whether there is not much to be read.

        By itself the server looks at a table again when a tenth of it has changed, and a minute later. Of a workspace that was
        filled since it expects next to nothing, and joins its people with its devices each with each.
        """
        unknown = [table for table in _SURVEYED if (workspace, table) not in self._known]
        if not unknown:
            return False
        async with self._turn(), self._acquired() as connection:
            found = {table: await self._held(connection, table, workspace) for table in unknown}
            many = {(workspace, table) for table, (held, _) in found.items() if held == _MANY}
            with suppress(asyncpg.LockNotAvailableError):
                if any(held == _MANY > _FAR_OFF * expected for held, expected in found.values()):
                    async with connection.transaction():
                        await connection.execute(_LOOKING_AGAIN)
                        await connection.execute(SQL["look_again"])
                self._known |= many
        return not many and len(unknown) == len(_SURVEYED)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        wait_s = patience.for_turn_s()
        try:
            with patience.spent():
                async with asyncio.timeout(wait_s):
                    await self._learning.acquire()
        except TimeoutError:
            raise Unreachable(
                f"the database was not looked at within {wait_s:.0f} s: it is too busy"
            ) from None
        try:
            yield
        finally:
            self._learning.release()

    def committed(self) -> None:
        """Look at sizes after 8 transactions, after 16, 32 and so on: a new database grows fast, an old one does not."""
        self._commits += 1
        if self._commits >= _FIRST_LOOK and self._commits & (self._commits - 1) == 0:
            self.look()

    def look(self) -> None:
        """Look at sizes now, in the background."""
        looking = asyncio.create_task(self._look_again())
        self._looking.add(looking)
        looking.add_done_callback(self._looking.discard)

    def close(self) -> None:
        """Look no more."""
        for looking in self._looking:
            looking.cancel()

    async def _look_again(self) -> None:
        patience.unlimited()
        # The server looks by itself, in a while.
        with suppress(Unreachable), isolated(log, "statistics_not_looked_at", passing=Unreachable):
            async with self._acquired() as connection:
                outgrown = [row["name"] for row in await connection.fetch(SQL["outgrown"])]
                if outgrown:
                    async with connection.transaction():
                        await connection.execute(f"{_LOOKING_AGAIN}; analyze {', '.join(outgrown)}")

    async def _held(self, connection: asyncpg.Connection, table: str, workspace: int) -> tuple[int, int]:
        """How many rows a workspace has in a table, as far as many, and how many the server expects."""
        held: int = await connection.fetchval(SQL["held"].replace("{table}", table), workspace, _MANY)
        told = await connection.fetchval(SQL["expected"].replace("{table}", table), workspace)
        [plan] = msgspec.json.decode(told)
        return held, plan["Plan"]["Plan Rows"]
