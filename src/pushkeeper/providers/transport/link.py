"""A connection and the channel that carries it: bytes in, bytes out, and what it means when it ends."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from pushkeeper.observability.logs import logger
from pushkeeper.providers.transport.connection import Connection
from pushkeeper.providers.transport.tls import failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushkeeper.providers.transport.limits import Limits
    from pushkeeper.providers.transport.response import NoResponse
    from pushkeeper.providers.transport.tls import Channel

Key = TypeVar("Key")
log = logger("providers")

_AGE_FUZZ = 0.1
_LEFT = ConnectionAbortedError("the server left before it answered anything")


class Link(Generic[Key]):
    """A connection and the channel that carries it."""

    def __init__(self, channel: Channel, limits: Limits, wake: Callable[[], None], jitter: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._wake = wake
        now = self._loop.time()
        age_s = math.inf if limits.max_age_s is None else limits.max_age_s * (1.0 - _AGE_FUZZ * jitter)
        self.retires_at = now + age_s
        self.h2: Connection[Key] = Connection(limits, now)
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.failed = False  # the channel is over
        self.proven = False  # an answer came on it
        self.left = False  # by our own choice
        self._error: Exception = _LEFT
        channel.start(self)
        self.flush()

    @property
    def congested(self) -> bool:
        return self._channel.congested

    @property
    def trouble(self) -> NoResponse:
        """What its end means for a request that was not sent."""
        meaning = failure(self._error)
        return replace(meaning, detail="; ".join(filter(None, (self.h2.goodbye, meaning.detail))))

    def flush(self) -> None:
        try:
            if not self._channel.congested and (data := self.h2.data_to_send()):
                self._channel.write(data)
        except Exception as error:  # noqa: BLE001 - logged there
            self._break(error)
        if self.h2.has_changes:
            self._wake()

    def sweep(self, now: float) -> bool:
        """Give up what is overdue; False when the connection is dead."""
        try:
            return self.h2.sweep(now)
        except Exception as error:  # noqa: BLE001 - logged there
            self._break(error)
            return True

    def leave(self) -> None:
        """Give it no new requests; it is closed when those under way are answered."""
        self.left = True
        self.h2.drain()

    def close(self) -> None:
        """Say goodbye, as far as there is anybody to hear it."""
        self.h2.close()
        self.flush()
        self._channel.close()

    def fail(self, error: Exception) -> None:
        """The server is gone, or as good as gone."""
        self.failed = True
        self._error = error
        self.h2.lose(failure(error))
        if not self.ready.done():
            self.ready.set_exception(error)
        self._wake()

    def _break(self, error: Exception) -> None:
        """Close the connection after an internal error: its requests are answered, and other connections continue."""
        log.error("connection_broken", exc_info=error)
        self.fail(error)

    # What the channel tells.

    def received(self, data: memoryview) -> None:
        try:
            self.h2.receive(data, self._loop.time())
        except Exception as error:  # noqa: BLE001 - logged there
            self._break(error)
        if not self.ready.done():
            self.flush()
            if self.h2.ready:
                self.ready.set_result(None)
            elif self.h2.finished:
                self.ready.set_exception(ConnectionAbortedError("the server does not keep to HTTP/2"))
        self._wake()

    def writable(self) -> None:
        self._wake()

    def ended(self, error: Exception) -> None:
        self.fail(error)
