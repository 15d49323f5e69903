"""Pools of connections to one PostgreSQL: what is lent, for how long it is waited for, and when all is opened again."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, asynccontextmanager, contextmanager
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import cancels
from pushkeeper.observability.logs import logger
from pushkeeper.store.db import driver_errors, patience
from pushkeeper.store.db.connections import STATEMENT_CACHE_SIZE, Connection, Connector, where
from pushkeeper.store.db.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

log = logger("database")

_COMMAND_S = 60.0
_CLOSE_S = 5.0
_HEEDED_EVERY_S = 5.0


class PoolUsage(NamedTuple):
    """How many connections a pool has in use and idle, and how many it may have."""

    busy: int
    idle: int
    most: int


class Pools:
    """The pools of one address, which share the state of its hosts."""

    def __init__(
        self, url: str, *, statement_cache_size: int = STATEMENT_CACHE_SIZE, session: str = "read-write"
    ) -> None:
        """Take an address, a malformed one is a ValueError; nothing is connected yet.

        Of several hosts, one is wanted with a `session` of that kind, unless the address says which.
        """
        self.url = url
        self._connector = Connector(
            url, statement_cache_size=statement_cache_size, session=session, on_move=self.open_again
        )
        self._pools: list[asyncpg.Pool] = []
        self._watchdog = Watchdog(self._ask, self._leave)
        self._heeded_at = -inf
        self.logs = True

    def add(self, most: int, prepare: Callable[[asyncpg.Connection], Awaitable[None]]) -> asyncpg.Pool:
        """Another pool of up to this many connections, opened on demand, each prepared once."""
        pool = asyncpg.create_pool(
            self.url,
            connect=self._connected,
            connection_class=Connection,
            min_size=0,
            max_size=most,
            init=prepare,
            reset=_nothing,
            command_timeout=_COMMAND_S,
        )
        self._pools.append(pool)
        return pool

    async def open(self) -> None:
        """Take up the pools; a connection is made when it is needed."""
        for pool in self._pools:
            await pool

    async def close(self) -> None:
        """Give back every connection; what still runs is cut off after five seconds."""
        self._watchdog.close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.gather(*(pool.close() for pool in self._pools))
        except TimeoutError:
            for pool in self._pools:
                pool.terminate()

    @property
    def connections(self) -> PoolUsage:
        """How many there are now."""
        size, idle = (
            sum(pool.get_size() for pool in self._pools),
            sum(pool.get_idle_size() for pool in self._pools),
        )
        return PoolUsage(size - idle, idle, sum(pool.get_max_size() for pool in self._pools))

    @asynccontextmanager
    async def acquired(
        self, pool: asyncpg.Pool, *, may_take_long: bool = False
    ) -> AsyncIterator[asyncpg.Connection]:
        """One of a pool's connections, within the caller's time limit; slow statements have their own limits.

        Raises:
            Unreachable: none is free in time, or the server does not answer; driver errors are translated.
        """
        self._watchdog.check()
        connecting, wait_s, began = True, patience.for_turn_s(), time.monotonic()
        if not wait_s:
            raise Unreachable("the database is too busy: earlier queries took too long")
        use, cancelled_before = _Use(), cancels()
        try:
            with ExitStack() as waiting:
                waiting.enter_context(patience.spent())
                async with pool.acquire(timeout=wait_s) as connection:
                    connecting = False
                    if may_take_long:
                        waiting.close()
                    within_s = inf if may_take_long else patience.for_answer_s()
                    with (
                        # Where the rollback failed too.
                        ended_on_error(connection, in_transaction=True),
                        self._watchdog.watching(),
                        use.on(connection.itself(), within_s),
                    ):
                        yield connection
        except Exception as error:
            if cancels() > cancelled_before:
                raise asyncio.CancelledError from error
            ours = driver_errors.translated(error, connecting=connecting)
            if ours is None:
                raise
            if connecting and isinstance(error, TimeoutError) and time.monotonic() - began >= wait_s:
                ours = Unreachable(f"the database gave no connection within {wait_s:.0f} s")
            if use.is_over:
                ours = Unreachable("the database is too busy: the query took too long")
            if isinstance(ours, Unreachable):
                await self._heed(ours, error)
            raise ours from error

    async def connect(self, *, command_s: float) -> Connection:
        """A separate connection, closed by the caller; each statement may take this many seconds."""
        connection = await self._connector(command_timeout=command_s)
        connection.in_use = True
        return connection

    async def _connected(self, *_: object, **options: Any) -> Connection:  # noqa: ANN401 - the pool's own
        self._watchdog.check()
        return await self._connector(**options)

    async def open_again(self) -> None:
        """Open every connection again, each before it is used next."""
        for pool in self._pools:
            await pool.expire_connections()

    async def _heed(self, ours: Unreachable, error: Exception) -> None:
        """Log what keeps the database from answering, now and then; on a server that became a standby, stay no longer."""
        if not self.logs or time.monotonic() - self._heeded_at < _HEEDED_EVERY_S:
            return
        self._heeded_at = time.monotonic()
        sqlstate = getattr(error, "sqlstate", None)
        log.warning("database_cannot_answer", reason=ours.message, at=where(self.url), sqlstate=sqlstate)
        if isinstance(ours, driver_errors.ReadOnly):
            # Where the address names several servers, or one by one name after the other, new connections find the primary.
            await self.open_again()
            self._connector.leave(lambda connection: not connection.in_use)

    async def _ask(self) -> None:
        connection = await self._connector()
        try:
            await connection.execute("select 1")
        finally:
            connection.terminate()

    async def _leave(self) -> None:
        await self.open_again()
        self._connector.leave(lambda _: True)


class _Use:
    """The use of a connection, which is ended when it takes too long.

    The connection is cut off rather than the task cancelled, since the driver would wait until the server has cancelled.

    Attributes:
        is_over: whether it did.
    """

    is_over = False

    @contextmanager
    def on(self, connection: Connection, within_s: float) -> Iterator[None]:
        """While a connection is in use, which is for so long at most."""
        connection.in_use = True
        timer = None
        if within_s < inf:
            timer = asyncio.get_running_loop().call_later(within_s, self._end, connection)
        try:
            yield
        finally:
            connection.in_use = False
            if timer is not None:
                timer.cancel()

    def _end(self, connection: Connection) -> None:
        self.is_over = True
        connection.cut_off()


@contextmanager
def ended_on_error(connection: asyncpg.Connection, *, in_transaction: bool = False) -> Iterator[None]:
    """End a lent connection when something is raised, if only where a transaction is left open: it is lent to nobody else."""
    try:
        yield
    except BaseException:
        if not connection.is_closed() and (connection.is_in_transaction() or not in_transaction):
            connection.itself().terminate()
        raise


async def _nothing(_: asyncpg.Connection) -> None:
    """No query leaves a connection other than it found it, so none is spent on resetting it."""
