"""Surveys: queries over much of a workspace use separate connections, and each workspace gets few at once."""

from __future__ import annotations

import asyncio
import functools
import os
from collections import Counter
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

import asyncpg

from pushkeeper.errors import TooManyRequests, TooSlow
from pushkeeper.store.db import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from pushkeeper.core.model import WorkspaceId

    class _Database(Protocol):
        def turn_to_survey(self, workspace: int) -> AbstractAsyncContextManager[None]: ...

    class _Asks(Protocol):
        @property
        def _database(self) -> _Database: ...

    S = TypeVar("S", bound=_Asks)

T = TypeVar("T")
P = ParamSpec("P")

AT_ONCE = 3
OF_ONE_WORKSPACE = 2
WAITING = 20
WAITS_S = 30.0
LONGEST_S = 50.0
SMALL_WITHIN_S = 10.0  # for a small workspace: it takes that long only on a busy machine
_RETRY_AFTER_S = 5
_NICENESS = 10
_TURN: ContextVar[tuple[Surveys, int] | None] = ContextVar("survey_turn", default=None)


class Surveys:
    """Turns at connections that ordinary calls do not use.

    A workspace has two surveys under way at most, and one connection more than that is for others. Those of a workspace
    wait for each other in the order in which they came.
    """

    def __init__(
        self,
        acquired: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]],
        of_one: int = OF_ONE_WORKSPACE,
    ) -> None:
        """`acquired` gives one of the connections, as soon as one is free; a workspace has `of_one` at once."""
        self._acquired = acquired
        self._of_one = of_one
        self._turns: dict[int, asyncio.Semaphore] = {}
        self._asking: Counter[int] = Counter()

    @asynccontextmanager
    async def place(self, workspace: int) -> AsyncIterator[None]:
        """A workspace's turn; a holder keeps its turn.

        Raises:
            TooManyRequests: too many surveys of the workspace are queued, or this one waited for too long.
        """
        mine = (self, workspace)
        if _TURN.get() == mine:
            yield
            return
        asking = self._asking[workspace]
        if asking >= self._of_one + WAITING:
            raise TooManyRequests(
                f"too many requests: {WAITING} queries of this workspace are already waiting",
                retry_after_s=_RETRY_AFTER_S,
            )
        turns = self._turns.setdefault(workspace, asyncio.Semaphore(self._of_one))
        self._asking[workspace] += 1
        try:
            await _acquire(turns)
            before = _TURN.set(mine)
            try:
                yield
            finally:
                _TURN.reset(before)
                turns.release()
        finally:
            self._asking[workspace] -= 1
            if not self._asking[workspace]:
                del self._asking[workspace], self._turns[workspace]

    @asynccontextmanager
    async def begun(self, begin: str, within_s: float) -> AsyncIterator[asyncpg.Connection]:
        """A read-only transaction for the holder of a turn, started by `begin`.

        Raises:
            TooSlow: a statement takes longer than `within_s`.
        """
        async with self._acquired() as connection:
            timeout_ms = max(int(within_s * 1000), 1)
            try:
                await connection.execute(
                    f"begin read only; set local statement_timeout = {timeout_ms}; {begin}"
                )
                yield connection
            except asyncpg.QueryCanceledError:
                raise too_slow(within_s) from None
            finally:
                if not connection.is_closed():
                    await connection.execute("rollback")


def in_turn(
    method: Callable[Concatenate[S, WorkspaceId, P], Awaitable[T]],
) -> Callable[Concatenate[S, WorkspaceId, P], Coroutine[Any, Any, T]]:
    """Let a use case that surveys a workspace wait for its turn before anything: hundreds of conditions take us milliseconds to read."""

    @functools.wraps(method)
    async def run(self: S, workspace: WorkspaceId, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._database.turn_to_survey(workspace):
            return await method(self, workspace, *args, **kwargs)

    return run


async def _acquire(turns: asyncio.Semaphore) -> None:
    wait_s = patience.for_turn_s(WAITS_S)
    try:
        with patience.spent():
            async with asyncio.timeout(wait_s):
                await turns.acquire()
    except TimeoutError:
        raise TooManyRequests(
            f"too many requests: other queries of this workspace did not finish within {wait_s:.0f} s",
            retry_after_s=_RETRY_AFTER_S,
        ) from None


def too_slow(within_s: float) -> TooSlow:
    """The error of a survey that exceeds its limit."""
    return TooSlow(
        f"the query takes longer than {within_s:g} s: use fewer conditions, or start with one that "
        "matches few people (an ID, a segment, an attribute that has an index)"
    )


def of_one_here() -> int:
    """How many a workspace may have at once where the server runs on this machine: they leave half of its processors free."""
    return max(min((os.cpu_count() or 1) // 2, OF_ONE_WORKSPACE), 1)


def niceness(*, embedded: bool) -> str:
    """What a survey's transaction sets beside `be_nice`: parallel workers are children of the server, and would not have it."""
    return "set local max_parallel_workers_per_gather = 0" if embedded else ""


def be_nice(connection: asyncpg.Connection) -> None:
    """Let the server's process behind a connection leave the processor to others; it is on this machine, and may be ours."""
    pid = connection.get_server_pid()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid) + _NICENESS)
