"""The read replica: a standby that answers in the primary's place while it has all that the primary acknowledged."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric
from pushkeeper.store.db import patience
from pushkeeper.store.db.connections import where
from pushkeeper.store.db.driver_errors import Busy, Cancelled, ReadOnly
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.db.surveys import too_slow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from pushkeeper.store.db.driver import Row
    from pushkeeper.store.db.pools import Pools

T = TypeVar("T")
log = logger("replica")
SQL = load_queries(__name__)

AT_ONCE = 8
_PATIENCE_S = 2.0  # for a connection and an answer
_RETRY_S = 1.0
_POLL_S = (0.002, 0.05)


class Trouble(StrEnum):
    """Why the primary answers though there is a replica."""

    AWAY = "away"  # it does not answer, or lets nobody in
    PRIMARY_AWAY = "primary_away"  # the primary does not report its position
    NOT_A_STANDBY = "not_a_standby"  # it was promoted, or never was one
    OTHER_DATABASE = "other_database"  # it is another cluster, or another database or schema of this one
    OTHER_TIMELINE = "other_timeline"  # it follows a former primary
    LAGGING = "lagging"
    BUSY = "busy"  # all connections to it are in use
    FAILED = "failed"  # it answered with an error: a conflict with recovery, a full disk


class Elsewhere(Exception):
    """The replica can't answer this: ask the primary."""

    def __init__(self, trouble: Trouble, error: Exception | None = None) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble
        self.error = str((error and error.__cause__) or error or "").partition("\n")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """A primary: up to where (in bytes of its write-ahead log) what it has acknowledged reaches.

    A copy has the numbers of the original's `database` and of its table `workspaces`. At the end of a page the log may end
    within a record, of which the rest is not on the disk yet.
    """

    system_identifier: int
    database: int
    workspaces: int | None
    timeline: int
    flushed: int
    ends_a_page: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """A standby, if it is one: up to where it has replayed; what it replayed last was committed `age_s` ago."""

    system_identifier: int
    database: int
    workspaces: int | None
    standby: bool
    timeline: int
    replayed: int
    age_s: float

    def trouble(self, primary: Primary) -> Trouble | None:
        """Why it can't replace this primary, whatever it has replayed."""
        if not self.standby:
            return Trouble.NOT_A_STANDBY
        if (self.system_identifier, self.database, self.workspaces) != (
            primary.system_identifier,
            primary.database,
            primary.workspaces,
        ):
            return Trouble.OTHER_DATABASE
        if self.timeline != primary.timeline:
            return Trouble.OTHER_TIMELINE
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSettings:
    """What an examination looks at.

    Attributes:
        feedback: the primary keeps what statements there still look at.
        receives: it is connected to a primary now.
        may_see_timeline: our user may ask which timeline it receives.
    """

    version: str
    clock: datetime
    feedback: bool
    receives: bool
    may_see_timeline: bool


class Replica:
    """Runs reads on a standby with the primary's guarantee: they see everything acknowledged before.

    The primary reports the end of its log. Once the standby has replayed up to it, the statement runs there, on the
    same connection. It does not matter which process has written.

    Attributes:
        trouble: why it is not used now; None while it is.
        error: the last error.
        lag_s: its lag at the last check; None if unknown.
    """

    def __init__(
        self,
        pools: Pools,
        prepare: Callable[[asyncpg.Connection], Awaitable[None]],
        ask_primary: Callable[[str], Awaitable[Row | None]],
        *,
        max_lag_s: float,
    ) -> None:
        """Take an address, the function that prepares connections, and one that reads a row from the primary.

        The replica is waited for up to `max_lag_s`.
        """
        self.url = pools.url
        self.trouble: Trouble | None = None
        self.error = ""
        self.lag_s: float | None = None
        self._pools = pools
        self._pool = pools.add(AT_ONCE + 1, prepare)  # one to look by
        self._ask_primary = ask_primary
        self._max_lag_s = max_lag_s
        self._lent = 0
        self._returning: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._pools.open()

    async def close(self) -> None:
        """Ask no more."""
        if self._returning is not None:
            self._returning.cancel()
        await self._pools.close()

    async def read(
        self,
        work: Callable[[asyncpg.Connection], Awaitable[T]],
        *,
        begin: str,
        within_s: float,
        otherwise: Callable[[], Awaitable[T]],
    ) -> T:
        """Run `work` there, in a transaction for which `begin` is set; `otherwise` has the primary run it where the replica cannot.

        Raises:
            TooSlow: a statement takes longer than `within_s`.
        """
        try:
            answer = await self._read(work, begin, within_s)
        except Elsewhere as elsewhere:
            trouble = elsewhere.trouble
        else:
            PROCESS.count(Metric.REPLICA_READS, "replica", "none").value += 1
            return answer
        PROCESS.count(Metric.REPLICA_READS, "primary", trouble.value).value += 1
        return await otherwise()

    async def look(self) -> None:
        """See how it does now, by `trouble` and `lag_s`."""
        with isolated() as tried:  # a later check finds out when it is back
            async with AsyncExitStack() as stack:
                await self._ready(stack)
        if (error := tried.error) is not None:
            self._leave(error if isinstance(error, Elsewhere) else Elsewhere(Trouble.AWAY, error))
        elif self.trouble is not None:
            log.info("replica_is_asked_again", at=where(self.url), was=self.trouble.value)
            self.trouble = None

    async def settings(self) -> ReplicaSettings:
        """How it is set.

        Raises:
            Unreachable: it does not answer.
        """
        async with self._transaction() as connection:
            row = await connection.fetchrow(SQL["settings"])
        return ReplicaSettings(**row)

    async def _read(
        self, work: Callable[[asyncpg.Connection], Awaitable[T]], begin: str, within_s: float
    ) -> T:
        if self.trouble is not None or self._lent >= AT_ONCE:
            raise Elsewhere(self.trouble or Trouble.BUSY)
        self._lent += 1
        started = time.monotonic()
        try:
            async with AsyncExitStack() as stack:
                connection = await self._ready(stack)
                started = time.monotonic()
                timeout_ms = max(int(within_s * 1000), 1)
                await connection.execute(f"set local statement_timeout = {timeout_ms}; {begin}")
                return await work(connection)
        except Elsewhere as elsewhere:
            self._leave(elsewhere)
            raise
        except Cancelled as error:
            # One that is cancelled sooner was in the way of what is replayed.
            if time.monotonic() - started >= within_s:
                raise too_slow(within_s) from None
            raise self._failed(error) from error
        except Exception as error:
            # Whatever it is, the primary has the last word.
            raise self._failed(error) from error
        finally:
            self._lent -= 1

    def _failed(self, error: Exception) -> Elsewhere:
        if isinstance(error, Unreachable) and not isinstance(error, Busy | Cancelled | ReadOnly):
            away = Elsewhere(Trouble.AWAY, error)
            self._leave(away)
            return away
        sqlstate = getattr(error.__cause__ or error, "sqlstate", None)
        log.info("replica_failed", at=where(self.url), error=type(error).__name__, sqlstate=sqlstate)
        return Elsewhere(Trouble.FAILED)

    async def _ready(self, stack: AsyncExitStack) -> asyncpg.Connection:
        """A connection to the replica, which has all that the primary has acknowledged until now; else `Elsewhere`."""
        try:
            primary = await self._primary()
        except Exception as error:
            raise Elsewhere(Trouble.PRIMARY_AWAY, error) from error
        connection: asyncpg.Connection = None
        try:
            async with asyncio.timeout(self._max_lag_s + _PATIENCE_S):
                connection = await stack.enter_async_context(self._transaction())
                await connection.execute("begin read only")
                await self._wait_for(connection, primary)
        except Elsewhere:
            raise
        except Exception as error:
            self.lag_s = None
            if isinstance(error, TimeoutError) and connection is not None:
                connection.terminate()  # to give it back would take an answer
            raise Elsewhere(Trouble.AWAY, error) from error
        return connection

    async def _primary(self) -> Primary:
        row = await self._ask_primary(SQL["primary"])
        if row is not None and row["ends_a_page"]:
            # Nobody may write the rest for seconds, and until then no standby can replay that record.
            await self._ask_primary(SQL["complete"])
            row = await self._ask_primary(SQL["primary"])
        if row is None:
            raise Elsewhere(Trouble.PRIMARY_AWAY)
        return Primary(**row)

    async def _wait_for(self, connection: asyncpg.Connection, primary: Primary) -> None:
        waited_s, started = 0.0, time.monotonic()
        pause_s, longest_s = _POLL_S
        while True:
            standby = Standby(**await connection.fetchrow(SQL["standby"]))
            if (trouble := standby.trouble(primary)) is not None:
                self.lag_s = None
                raise Elsewhere(trouble)
            if standby.replayed >= primary.flushed:
                self.lag_s = waited_s
                return
            if waited_s > self._max_lag_s:
                self.lag_s = max(standby.age_s, waited_s)
                raise Elsewhere(Trouble.LAGGING)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, longest_s)
            waited_s = time.monotonic() - started

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._pools.acquired(self._pool, may_take_long=True) as connection:
            try:
                yield connection
            finally:
                is_closed = True
                with suppress(asyncpg.InterfaceError):  # it was cut off, and is back in the pool
                    is_closed = connection.is_closed()
                if not is_closed:
                    await connection.execute("rollback")

    def _leave(self, elsewhere: Elsewhere) -> None:
        if elsewhere.trouble is not self.trouble:
            reason, error = elsewhere.trouble.value, elsewhere.error
            log.warning(
                "replica_is_not_asked", at=where(self.url), reason=reason, error=error, lag_s=self.lag_s
            )
        self.trouble, self.error = elsewhere.trouble, elsewhere.error
        if self._returning is None:
            self._returning = asyncio.create_task(self._return())

    async def _return(self) -> None:
        patience.unlimited()
        try:
            while self.trouble is not None:
                await asyncio.sleep(_RETRY_S)
                await self.look()
        finally:
            self._returning = None
