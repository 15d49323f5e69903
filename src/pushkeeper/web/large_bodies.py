"""What a workspace's large bodies may take of a server: others don't wait for them.

All connections of a process share one event loop, and whatever is large one thread beside it. So a workspace's large bodies
are received at a rate, one of them is read at a time, and after it others have the thread and Python's lock.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self, TypeVar

from pushkeeper.core.delivery.rate_limit import Bucket
from pushkeeper.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

LARGE_BYTES = 64 * 1024
BYTES_PER_S = 4_000_000  # of one workspace in one process, with a second's worth at once
MOST_BYTES = 32 * 1024 * 1024  # of one workspace, of bodies that are not answered yet
MOST_WAITING = 32  # bodies of one workspace that wait for reading
RESTS = 3.0  # times as long as the last one took
VERY_LARGE_BYTES = 1_000_000  # which the recipients of a broadcast alone may have
RESTS_FROM_VERY_LARGE = 30.0
_RETRY_AFTER_S = 5


class _Share:
    """What one workspace has."""

    __slots__ = ("bucket", "bytes", "rests_until", "turn", "waiting")

    def __init__(self) -> None:
        self.bucket = Bucket()
        self.bytes = 0
        self.waiting = 0
        self.turn: asyncio.Lock | None = None  # while there is one that waits: a lock is of one event loop
        self.rests_until = 0.0


class LargeBodies:
    """The shares, by workspace."""

    def __init__(self) -> None:
        self._shares: dict[int, _Share] = {}

    def body_of(self, workspace: int) -> LargeBody:
        """A body of a workspace; short ones without a workspace are not counted."""
        return LargeBody(self, workspace)

    def received(self, workspace: int, size: int, now: float) -> float:
        """Count bytes of a body until `answered`, and return for how many seconds to pause reading it.

        Raises:
            TooManyRequests: the workspace has too many already.
        """
        share = self._share(workspace)
        if share.bytes + size > MOST_BYTES:
            raise _too_many(f"{share.bytes:,} bytes of this workspace's requests are not answered yet")
        share.bytes += size
        share.bucket.fill(BYTES_PER_S, now)
        share.bucket.owe(size)
        return share.bucket.empty_for_s(BYTES_PER_S)

    def answered(self, workspace: int, size: int) -> None:
        """Uncount a body."""
        self._share(workspace).bytes -= size

    async def read(
        self,
        workspace: int,
        size: int,
        work: Callable[[], T],
        run: Callable[[Callable[[], T]], Awaitable[T]],
    ) -> T:
        """Have a body of this size read by `run`, in a thread, when it is the workspace's turn.

        Raises:
            TooManyRequests: too many bodies of the workspace wait for it.
        """
        share = self._share(workspace)
        if share.waiting > MOST_WAITING:
            raise _too_many(f"{MOST_WAITING} large requests of this workspace wait to be read")
        share.waiting += 1
        turn = share.turn = share.turn or asyncio.Lock()
        rests = RESTS if size <= VERY_LARGE_BYTES else RESTS_FROM_VERY_LARGE
        took_s = 0.0

        def timed() -> T:
            nonlocal took_s
            began_s = time.thread_time()  # waiting for the processor takes nothing from others
            try:
                return work()
            finally:
                took_s = time.thread_time() - began_s

        try:
            async with turn:
                if (rest_s := share.rests_until - time.monotonic()) > 0:
                    await asyncio.sleep(rest_s)
                try:
                    return await run(timed)
                finally:
                    share.rests_until = time.monotonic() + rests * took_s
        finally:
            share.waiting -= 1
            if not share.waiting:
                share.turn = None

    def _share(self, workspace: int) -> _Share:
        return self._shares.setdefault(workspace, _Share())


class LargeBody:
    """A body that is counted from the moment when it is large until it is answered, which is the end of `with`."""

    __slots__ = ("_bodies", "_size", "_workspace")

    def __init__(self, bodies: LargeBodies, workspace: int) -> None:
        self._bodies = bodies
        self._workspace = workspace
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._size:
            self._bodies.answered(self._workspace, self._size)

    def grown(self, size: int) -> float:
        """Count it as this large, and return for how many seconds to pause reading it.

        Raises:
            TooManyRequests: the workspace has too many already.
        """
        if size <= LARGE_BYTES or not self._workspace:
            return 0.0
        wait_s = self._bodies.received(self._workspace, size - self._size, time.monotonic())
        self._size = size
        return wait_s


def _too_many(why: str) -> TooManyRequests:
    return TooManyRequests(f"too many requests: {why}", retry_after_s=_RETRY_AFTER_S)
