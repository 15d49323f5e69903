"""Rows that cannot be read: each is skipped, logged and recorded with the reason."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.store.db import patience
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    import asyncpg


SQL = load_queries(__name__)
log = logger("store")

UNREADABLE = "unreadable"  # the failure reason when a row cannot be read
_MOST_TO_WRITE = 1_000
_AGAIN_AFTER_S = 60.0  # a row that is read often is recorded once a minute


class UnreadableRows:
    """Logs rows that cannot be read, and records them in the background."""

    def __init__(self, acquired: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]) -> None:
        self._acquired = acquired
        self._to_write: dict[tuple[int, str, str], str] = {}
        self._written: dict[tuple[int, str, str], float] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, workspace: int, table: str, key: object, error: Exception) -> None:
        """Log and record that a row could not be read."""
        place = workspace, table, key.hex() if isinstance(key, bytes) else str(key)
        now = asyncio.get_running_loop().time()
        if now - self._written.get(place, float("-inf")) < _AGAIN_AFTER_S:
            return
        if len(self._written) >= _MOST_TO_WRITE:
            self._written.clear()
        self._written[place] = now
        why = reason(error)
        log.error("row_unreadable", workspace=workspace, table=table, key=place[2], reason=why)
        if len(self._to_write) < _MOST_TO_WRITE:
            self._to_write[place] = why
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    def close(self) -> None:
        """Stop recording."""
        if self._writing is not None:
            self._writing.cancel()

    async def _write(self) -> None:
        patience.unlimited()
        while self._to_write:
            some, self._to_write = self._to_write, {}
            rows = [(*place, why) for place, why in some.items()]
            with isolated(log, "unreadable_rows_not_recorded", rows=len(rows)) as tried:
                async with self._acquired() as connection:
                    await connection.execute(SQL["note"], *map(list, zip(*rows, strict=True)))
            if tried.error is not None:
                return  # the log has them


def reason(error: Exception) -> str:
    """Why a row could not be read. Only a validator's message is known to contain no values of the row."""
    if isinstance(error, msgspec.ValidationError):
        return str(error)
    return type(error).__name__


def decoded(text: str) -> Any:  # noqa: ANN401 - JSON of any shape
    """The JSON of a column; if it is nested too deeply, or has a number that is out of range, a value that marks it as unreadable."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        # Raising would cost the whole result, not this row.
        return {UNREADABLE: type(error).__name__}
