"""Statements and transactions of one role: each method takes a connection, runs, and returns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import asyncpg

from pushkeeper.errors import TooSlow, Unreachable
from pushkeeper.store.db.driver_errors import Busy, Cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from pushkeeper.store.db.driver import Connection, Row

T = TypeVar("T")

_ATTEMPTS_ON_CONFLICT = 5


Also: TypeAlias = "Callable[[Connection], Awaitable[None]]"  # what is done in the same transaction


async def nothing_else(connection: Connection) -> None:
    """Do nothing in the same transaction."""
    del connection


class LostRace(Exception):
    """A concurrent transaction changed what this one depends on; a retry sees the change."""


_WORTH_ANOTHER_TRY = (LostRace, Busy, asyncpg.ForeignKeyViolationError)


class Ask(Protocol):
    """Runs `work` on a connection that it chooses, and gives that back."""

    def __call__(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> Awaitable[T]: ...


class Reads:
    """Read-only statements, one at a time."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    async def rows(self, query: str, *args: object) -> list[Row]:
        async def work(connection: asyncpg.Connection) -> list[Row]:
            found: list[Row] = await connection.fetch(query, *args)
            return found

        return await self.ask(work)

    async def rows_with_custom_plan(self, query: str, *args: object) -> list[Row]:
        """The rows of a query whose best plan is another for other arguments, so that none is kept for it."""

        async def work(connection: asyncpg.Connection) -> list[Row]:
            statement = await connection.prepare(query)
            found: list[Row] = await statement.fetch(*args)
            return found

        return await self.ask(work)

    async def row(self, query: str, *args: object) -> Row | None:
        async def work(connection: asyncpg.Connection) -> Row | None:
            found: Row | None = await connection.fetchrow(query, *args)
            return found

        return await self.ask(work)

    async def value(self, query: str, *args: object) -> Any:  # noqa: ANN401 - a column has any type
        async def work(connection: asyncpg.Connection) -> Any:  # noqa: ANN401 - a column has any type
            return await connection.fetchval(query, *args)

        return await self.ask(work)


class Statements(Reads):
    """Reads and writes by one role."""

    def __init__(
        self,
        alone: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]],
        together: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]],
        committed: Callable[[], None] | None = None,
    ) -> None:
        """`alone` provides a connection for one statement, `together` one in a transaction; `committed` is called after each `change`."""
        super().__init__(self._on_one)
        self._alone = alone
        self._together = together
        self._committed = committed

    async def _on_one(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        async with self._alone() as connection:
            return await work(connection)

    async def in_transaction(
        self, work: Callable[[Connection], Awaitable[T]], *, within_s: float | None = None
    ) -> T:
        """Run `work` in a transaction and commit; a deadlock or a lost race runs it again, from the start.

        Raises:
            TooSlow: one of its statements takes longer than `within_s`.
        """

        async def attempt() -> T:
            try:
                async with self._together() as connection:
                    if within_s is not None:
                        await connection.execute(f"set local statement_timeout = {int(within_s * 1000)}")
                    return await work(connection)
            except Cancelled:
                if within_s is None:
                    raise
                raise TooSlow(f"a query of it takes longer than {within_s:g} s") from None

        return await _despite_others(attempt)

    async def change(self, query: str, *args: object) -> list[Row]:
        """Run one statement and commit it, without a transaction around it, which would cost two more round trips.

        A deadlock or a lost race runs it again. Returns the rows that it returns.
        """

        async def attempt() -> list[Row]:
            async with self._alone() as connection:
                found: list[Row] = await connection.fetch(query, *args)
                return found

        found = await _despite_others(attempt)
        if self._committed is not None:
            self._committed()
        return found


async def _despite_others(attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of an attempt, retried after conflicts with concurrent transactions.

    Raises:
        Unreachable: five attempts in a row conflicted.
    """
    for number in range(_ATTEMPTS_ON_CONFLICT):
        try:
            return await attempt()
        except _WORTH_ANOTHER_TRY as error:
            if number < _ATTEMPTS_ON_CONFLICT - 1:
                continue
            if isinstance(error, asyncpg.ForeignKeyViolationError):
                raise  # no race: what it refers to does not come back
            raise Unreachable(
                "the database is too busy: other transactions were first five times in a row"
            ) from error
    raise AssertionError  # the last attempt returns or raises
