"""What joins the stages to the last: results of pushes, from prepare and send to settle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pushkeeper.worker.results import PushResult


class ResultQueue:
    """Results in the order in which they came. Each stays until settle has written it."""

    def __init__(self) -> None:
        self._results: list[PushResult] = []
        self._wake = asyncio.Event()  # while there are some, or it is closed
        self._closed = False

    def __len__(self) -> int:
        return len(self._results)

    def put(self, results: Iterable[PushResult]) -> None:
        self._results.extend(results)
        self._set_or_clear()

    def close(self) -> None:
        """Release waiters, as nothing more may come."""
        self._closed = True
        self._set_or_clear()

    async def wait(self) -> None:
        """Until there are some, or the queue is closed."""
        await self._wake.wait()

    def oldest(self, count: int) -> list[PushResult]:
        """A number of the oldest results; they stay queued."""
        return self._results[:count]

    def remove_oldest(self, count: int) -> None:
        del self._results[:count]
        self._set_or_clear()

    def _set_or_clear(self) -> None:
        if self._results or self._closed:
            self._wake.set()
        else:
            self._wake.clear()
