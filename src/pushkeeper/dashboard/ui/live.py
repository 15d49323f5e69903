"""Live parts of pages: computed once a second for all viewers, and sent when they change."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pushkeeper.errors import PushkeeperError, TooManyRequests, Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.web.response import EVENTS, Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable

log = logger("dashboard")

MOST_STREAMS = 200  # per process; further clients fall back to polling
LONGEST_S = 120.0  # a browser then comes again, through the gate
_EVERY_S = 1.0
_SAID_AFTER_S = 15.0  # proxies close what is silent
_NOTHING = b""  # each look at the database has its own time to wait for it
_BEHIND_PROXIES = (b"x-accel-buffering", b"no")


class Frame(NamedTuple):
    """A snapshot of a page.

    Attributes:
        html: the live fragment.
        state: the state of the whole page; when it changes, the page around the fragment changes too.
    """

    html: str
    state: str


class LiveStreams:
    """The streams of one process, as server-sent events."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._open = 0
        self._kept: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}

    async def shared(self, key: Hashable, ask: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever is asked
        """The result of `ask`, computed once a second for all callers with the same key."""
        now = time.monotonic()
        kept = self._kept.get(key)
        if kept is None or kept[0] <= now:
            self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
            # Half a second less than the poll interval: no viewer gets the same snapshot twice.
            kept = self._kept[key] = (now + _EVERY_S / 2, asyncio.ensure_future(ask()))
        return await asyncio.shield(kept[1])

    def answer(self, state: str, look: Callable[[], Awaitable[Frame]]) -> Response:
        """Each frame that is another than the last as an event `shown`, until the state is another: `turned`, and the end.

        Raises:
            TooManyRequests: too many watch already.
        """
        if self._open >= MOST_STREAMS:
            raise TooManyRequests("too many live connections")
        return Response(parts=self._events(state, look), content_type=EVENTS, headers=(_BEHIND_PROXIES,))

    async def _events(self, state: str, look: Callable[[], Awaitable[Frame]]) -> AsyncGenerator[bytes, None]:
        self._open += 1
        try:
            # Whatever failed, the browser reconnects, and gets the ordinary error.
            with suppress(PushkeeperError), isolated(log, "stream_failed", passing=PushkeeperError):
                ends_at = time.monotonic() + LONGEST_S
                shown, said_at = "", time.monotonic()
                yield b"retry: 1000\n\n"
                while (now := time.monotonic()) < ends_at:
                    try:
                        frame = await look()
                    except Unreachable as error:
                        # A rejected reconnect would stop the browser from trying again.
                        yield _NOTHING
                        if await self._ends_within(error.retry_after_s):
                            return
                        continue
                    if frame.state != state:
                        yield _event("turned", frame.state)
                        return
                    if frame.html != shown:
                        shown, said_at = frame.html, now
                        yield _event("shown", shown)
                    elif now - said_at > _SAID_AFTER_S:
                        said_at = now
                        yield b": the same\n\n"
                    else:
                        yield _NOTHING
                    if await self._ends_within(_EVERY_S):
                        return
        finally:
            self._open -= 1

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True


def _event(name: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()
