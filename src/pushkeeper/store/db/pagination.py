"""Search for rare rows: one slice of a table at a time, for a limited time, so that no page reads a million rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from pushkeeper.core.pagination import Page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Page", "filled"]

R = TypeVar("R")
K = TypeVar("K")

SMALLEST, LARGEST = 250, 9_000  # rows of one piece
WITHIN_S = 0.1
LEAST = (
    3_000  # rows that are looked at however long it takes: on a busy machine a tenth of a second is nothing
)
_PIECE_S = (
    0.025  # the target duration of a slice; from disk it takes ten times that, so none should be much longer
)
_GROWTH = 3


async def filled(
    read: Callable[[K, int, int], Awaitable[tuple[Sequence[R], K | None]]],
    after: K,
    limit: int,
    *,
    within_s: float = WITHIN_S,
) -> Page[R, K]:
    """Read pieces until there are so many rows, or the time is up and not a few were looked at; the quicker, the larger.

    `read` is given a key, how many rows are wanted and how many to look at, and gives those that it found after the key in
    one piece, and the key that the next piece begins after.
    """
    found: list[R] = []
    look, looked, began = SMALLEST, 0, time.perf_counter()
    while True:
        started = time.perf_counter()
        rows, following = await read(after, limit - len(found), look)
        found += rows
        if following is None or len(found) >= limit:
            return Page(found, following, whole=True)
        looked += look
        now = time.perf_counter()
        takes_s = max(now - started, 1e-6) / look
        wanted = int(min(look * _GROWTH, _PIECE_S / takes_s))
        look = max(SMALLEST, min(wanted, LARGEST))
        if looked >= LEAST and now - began + takes_s * look > within_s:
            return Page(found, following, whole=False)
        after = following
