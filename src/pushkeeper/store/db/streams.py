"""Streams: all rows of one statement, page by page as they are wanted, on connections that nothing else uses."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from pushkeeper.errors import TooManyRequests
from pushkeeper.store.db import surveys

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from pushkeeper.store.db.driver import Row
    from pushkeeper.store.db.pools import Pools

AT_ONCE = 2
OF_ONE_WORKSPACE = 1
_PAGE_S = 600.0  # the first page of a statement that sorts or joins comes after all of that
_SETTINGS = (
    f"set local statement_timeout = '{_PAGE_S:g}s'; set local timezone = 'UTC'; set local work_mem = '32MB'; "
    # While a client reads no rows, the open transaction keeps VACUUM from removing dead ones.
    "set local idle_in_transaction_session_timeout = '120s'"
)
_RETRY_AFTER_S = 10


class Streams:
    """Statements whose rows are taken one page after the other, while the server finds those of the next."""

    def __init__(
        self,
        pools: Pools,
        prepare: Callable[[asyncpg.Connection], Awaitable[None]],
        begin: Callable[[int], str],
    ) -> None:
        """`prepare` is done to each connection once; `begin` is what a transaction for a workspace begins with."""
        self._pools = pools
        self._pool = pools.add(AT_ONCE, prepare)
        self._begin = begin
        self._running: Counter[int] = Counter()

    def check(self, workspace: int) -> None:
        """Raise what `pages` would, where there is no place for another stream of a workspace.

        Raises:
            TooManyRequests: too many are open.
        """
        if self._running[workspace] >= OF_ONE_WORKSPACE:
            raise TooManyRequests(
                "another export of this workspace is running; wait for its end, or cancel it",
                retry_after_s=_RETRY_AFTER_S,
            )
        if self._running.total() >= AT_ONCE:
            raise TooManyRequests(
                f"{AT_ONCE} exports of other workspaces are running; try again later",
                retry_after_s=_RETRY_AFTER_S,
            )

    async def pages(
        self, workspace: int, query: str, *args: object, rows: int
    ) -> AsyncGenerator[list[Row], None]:
        """The rows of a query over a workspace, its $1, as they are at one moment: up to so many at a time.

        Raises:
            TooManyRequests: too many streams are running.
            TooSlow: the next rows are not found in time.
        """
        with self._place(workspace):
            async with (
                self._pools.acquired(self._pool, may_take_long=True) as connection,
                connection.transaction(readonly=True),
            ):
                await connection.execute(f"{_SETTINGS}; {self._begin(workspace)}")
                statement = await connection.prepare(query)
                cursor = await statement.cursor(workspace, *args)
                following = asyncio.create_task(cursor.fetch(rows, timeout=_PAGE_S))
                try:
                    while found := await following:
                        following = asyncio.create_task(cursor.fetch(rows, timeout=_PAGE_S))
                        await asyncio.sleep(0)  # the server is asked before this page is worked at
                        yield found
                except asyncpg.QueryCanceledError:
                    raise surveys.too_slow(_PAGE_S) from None
                finally:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)

    @contextmanager
    def _place(self, workspace: int) -> Iterator[None]:
        self.check(workspace)
        self._running[workspace] += 1
        try:
            yield
        finally:
            self._running[workspace] -= 1
            if not self._running[workspace]:
                del self._running[workspace]
