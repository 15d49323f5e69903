"""Statements and transactions, by whoever they are run: each method takes a connection, runs, and gives it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from pushkeeper.errors import TooSlow, Unreachable
from pushkeeper.store.driver_errors import Busy, Cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from pushkeeper.store.database import Connection, Row

T = TypeVar("T")

_ATTEMPTS_ON_CONFLICT = 5


class LostRace(Exception):
    """Somebody else changed what this transaction stands on; run again, it sees what they left."""


_WORTH_ANOTHER_TRY = (LostRace, Busy, asyncpg.ForeignKeyViolationError)


class Statements:
    """What is asked and changed by one role."""

    def __init__(
        self,
        alone: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]],
        together: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]],
    ) -> None:
        """`alone` gives a connection for one statement, `together` one in a transaction."""
        self._alone = alone
        self._together = together

    async def rows(self, query: str, *args: object) -> list[Row]:
        async with self._alone() as connection:
            found: list[Row] = await connection.fetch(query, *args)
        return found

    async def rows_planned_anew(self, query: str, *args: object) -> list[Row]:
        """The rows of a query whose best plan is another for other arguments, so that none is kept for it."""
        async with self._alone() as connection:
            statement = await connection.prepare(query)
            found: list[Row] = await statement.fetch(*args)
        return found

    async def row(self, query: str, *args: object) -> Row | None:
        async with self._alone() as connection:
            found: Row | None = await connection.fetchrow(query, *args)
        return found

    async def value(self, query: str, *args: object) -> Any:  # noqa: ANN401 - a column has any type
        async with self._alone() as connection:
            return await connection.fetchval(query, *args)

    async def in_transaction(
        self, work: Callable[[Connection], Awaitable[T]], *, within_s: float | None = None
    ) -> T:
        """Run `work` in a transaction and commit; a deadlock or a lost race runs it again, from the start.

        Raises:
            TooSlow: one of its statements takes longer than `within_s`.
        """
        for attempt in range(_ATTEMPTS_ON_CONFLICT):
            try:
                async with self._together() as connection:
                    if within_s is not None:
                        await connection.execute(f"set local statement_timeout = {int(within_s * 1000)}")
                    return await work(connection)
            except Cancelled:
                if within_s is None:
                    raise
                raise TooSlow(f"a query of it takes longer than {within_s:g} s") from None
            except _WORTH_ANOTHER_TRY as error:
                if attempt == _ATTEMPTS_ON_CONFLICT - 1:
                    raise Unreachable(
                        "the database is too busy: others were first five times in a row"
                    ) from error
        raise AssertionError  # the last attempt returns or raises
