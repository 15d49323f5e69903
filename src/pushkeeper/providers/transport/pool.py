"""The connections to one endpoint: which of them carries a request, and when to open, leave or close one.

Everything happens on one event loop. What a turn of the loop brings is handed over as one batch, and each connection
writes once: the pump. Clocks are looked at by one timer for the whole pool: the tick.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from random import random
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from pushkeeper.core.delivery.outcome import Silence
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.providers.transport.connection import Exchange
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.link import Link
from pushkeeper.providers.transport.response import NoResponse
from pushkeeper.providers.transport.tls import Channel, Endpoint, failure, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushkeeper.providers.transport.response import Answer, Request

__all__ = ["Endpoint", "Limits", "Pool", "tls_context"]

Key = TypeVar("Key")
log = logger("providers")

_CLOSED = NoResponse(Silence.NOT_PROCESSED, "closed before it was sent")
_CLOSED_UNDER_WAY = NoResponse(Silence.LOST, "closed before the answer came")
_REFUSED = NoResponse(Silence.NOT_PROCESSED, "the server refused it on every connection")
_WITHDRAWN = NoResponse(Silence.NOT_PROCESSED, "withdrawn before it was sent")
_WAITED = NoResponse(Silence.NOT_SENT, "no connection took it in time")
_DEAD = TimeoutError("no sign of life after a ping")


class _Fetch:
    """The key of a request that somebody awaits."""

    __slots__ = ("answer",)

    def __init__(self, answer: asyncio.Future[Answer]) -> None:
        self.answer = answer


class Pool(Generic[Key]):
    """Sends requests over as few connections as carry them; each is answered exactly once.

    While no connection can be had, requests wait for the next attempt if that is near, and are answered if it fails or
    is not: none is kept for long that could have been told.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        limits: Limits,
        on_answers: Callable[[list[tuple[Key, Answer]]], None],
        *,
        jitter: Callable[[], float] = random,
    ) -> None:
        """Open nothing yet.

        `on_answers` is called from the event loop, never from inside `submit`; it may submit. `jitter` is in [0, 1).
        """
        self._endpoint = endpoint
        self._limits = limits
        self._on_answers = on_answers
        self._jitter = jitter
        self._links: list[Link[Key | _Fetch]] = []
        self._fresh: deque[Exchange[Key | _Fetch]] = deque()
        self._urgent: deque[Exchange[Key | _Fetch]] = deque()
        self._again: deque[Exchange[Key | _Fetch]] = deque()
        self._answers: list[tuple[Key | _Fetch, Answer]] = []
        self._dialing: asyncio.Task[None] | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._expire_at = 0.0  # when what is queued in this turn has waited too long
        self._dial_from = 0.0
        self._failures = 0
        self._trouble = _WAITED
        self._turned_away = False  # what this turn tells was answered for a long back-off
        self._unanswered = 0
        self._fetching = 0
        self._awake = False
        self._closing = False
        self._drained = asyncio.Event()

    @property
    def pending(self) -> int:
        """Requests that were submitted and are not answered yet."""
        return self._unanswered

    def submit(self, key: Key, request: Request, *, urgent: bool = False) -> None:
        """Take a request; its response is delivered later, in a batch. Urgent ones leave before queued ones."""
        self._enqueue(key, request, urgent=urgent)

    def withdraw(self, unwanted: Callable[[Key], bool]) -> int:
        """Withdraw requests that are on no stream; each is answered as not processed. Returns how many."""
        taken = 0
        for queue in (self._again, self._urgent, self._fresh):
            for _ in range(len(queue)):
                exchange = queue.popleft()
                if isinstance(exchange.key, _Fetch) or not unwanted(exchange.key):
                    queue.append(exchange)
                else:
                    self._answers.append((exchange.key, _WITHDRAWN))
                    taken += 1
        if taken:
            self._wake()
        return taken

    async def fetch(self, request: Request) -> Answer:
        """Send one request and wait for its answer."""
        fetch = _Fetch(asyncio.get_running_loop().create_future())
        self._fetching += 1
        self._enqueue(fetch, request)
        return await fetch.answer

    def close_connections(self) -> None:
        """Drain all present connections; new requests use fresh ones."""
        for link in self._links:
            link.leave()
        self._wake()

    async def aclose(self, drain_s: float) -> None:
        """Wait up to `drain_s` seconds for the submitted requests, answer the rest and close.

        Sent requests are then answered as LOST, unsent and later ones as NOT_PROCESSED.
        """
        self._closing = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    while self._unanswered:
                        self._drained.clear()
                        await self._drained.wait()
        finally:
            dialing = self._dialing
            self._end()
            if dialing is not None:
                await asyncio.gather(dialing, return_exceptions=True)

    def _end(self) -> None:
        if self._dialing is not None:
            self._dialing.cancel()
        if self._ticking is not None:
            self._ticking.cancel()
        for link in self._links:
            link.left = True
            link.h2.lose(_CLOSED_UNDER_WAY)
        self._gather()
        self._answer_waiting(_CLOSED)
        self._pump()

    # The queue.

    def _enqueue(self, key: Key | _Fetch, request: Request, *, urgent: bool = False) -> None:
        if not self._awake:
            self._wake()
        self._unanswered += 1
        if self._closing:
            self._answers.append((key, _CLOSED))
        else:
            (self._urgent if urgent else self._fresh).append(Exchange(key, request, self._expire_at))

    def _answer_waiting(self, why: NoResponse) -> None:
        for queue in (self._again, self._urgent, self._fresh):
            self._answers += [(exchange.key, why) for exchange in queue]
            queue.clear()

    # The pump: one turn.

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            loop = asyncio.get_running_loop()
            self._expire_at = loop.time() + self._limits.queue_timeout_s
            loop.call_soon(self._pump)

    def _pump(self) -> None:
        now = asyncio.get_running_loop().time()
        self._expire_at = now + self._limits.queue_timeout_s
        self._gather()
        # First: what is submitted in return leaves in this same turn.
        self._deliver()
        self._carry(now)

    def _carry(self, now: float) -> None:
        self._assign(now)
        for link in self._links:
            link.flush()
        self._retire(now)
        self._look_for_more(now)
        if self._ticking is None and (self._links or self._unanswered):
            self._ticking = asyncio.get_running_loop().call_later(self._limits.tick_s, self._tick)
        # What flushing and closing brought is for the next turn.
        self._awake = False
        if self._answers or any(link.h2.has_changes for link in self._links):
            self._wake()

    def _gather(self) -> None:
        for link in self._links:
            self._answers += link.h2.take_answers()
            if link.h2.answered and not link.proven:
                link.proven = True
                self._failures = 0
            for exchange in link.h2.take_refused():
                if exchange.sent > self._limits.max_resends:
                    self._answers.append((exchange.key, _REFUSED))
                else:
                    exchange.deadline_at = self._expire_at
                    self._again.append(exchange)

    def _assign(self, now: float) -> None:
        """Fill the connections in the order they were opened, so that those not needed fall idle."""
        for link in self._links:
            if link.congested:
                continue
            for _ in range(min(link.h2.capacity, len(self._again) + len(self._urgent) + len(self._fresh))):
                queue = self._again or self._urgent or self._fresh
                link.h2.submit(queue.popleft(), now)

    def _retire(self, now: float) -> None:
        leaving = [link for link in self._links if link.failed or link.h2.finished]
        for link in leaving:
            self._links.remove(link)
            link.close()
            self._answers += link.h2.take_answers()
            if not (link.proven or link.left):
                # It opened and was of no use: a server that does so time and again is left in peace for a while.
                self._back_off(now, link.trouble)

    def _deliver(self) -> None:
        answers, self._answers = self._answers, []
        if not answers:
            return
        self._unanswered -= len(answers)
        if not self._unanswered:
            self._drained.set()
        delivered = (
            self._report_fetches(answers) if self._fetching else cast("list[tuple[Key, Answer]]", answers)
        )
        if delivered:
            # The callback answers for each; the connections continue with the others.
            with isolated(log, "answers_not_heard", host=self._endpoint.host, answers=len(delivered)):
                self._on_answers(delivered)

    def _report_fetches(self, answers: list[tuple[Key | _Fetch, Answer]]) -> list[tuple[Key, Answer]]:
        others = []
        for key, answer in answers:
            if not isinstance(key, _Fetch):
                others.append((key, answer))
                continue
            self._fetching -= 1
            if not key.answer.done():
                key.answer.set_result(answer)
        return others

    # Connections.

    def _look_for_more(self, now: float) -> None:
        """Open a connection for queued requests; if the next attempt is far off, answer them with the reason."""
        delivered, self._turned_away = self._turned_away, False
        if (
            self._dialing is not None
            or not (self._again or self._urgent or self._fresh)
            or not self._may_open()
        ):
            return
        if self._dial_from - now <= self._limits.patience_s:
            self._dialing = asyncio.get_running_loop().create_task(self._dial())
        elif not (delivered or self._taking()):
            # Who submits in return for such an answer waits for the tick: else the two would keep the loop busy.
            self._turned_away = True
            self._answer_waiting(self._trouble)

    def _taking(self) -> list[Link[Key | _Fetch]]:
        return [link for link in self._links if not link.h2.draining]

    def _may_open(self) -> bool:
        taking = self._taking()
        return len(taking) < self._limits.max_connections and not any(
            link.h2.capacity and not link.congested for link in taking
        )

    def _back_off(self, now: float, trouble: NoResponse) -> None:
        self._failures += 1
        self._trouble = trouble
        self._dial_from = now + self._limits.backoff_s(self._failures, self._jitter())

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            with isolated() as tried:
                await asyncio.sleep(max(0.0, self._dial_from - loop.time()))
                self._links.append(await self._open())
            if tried.error is not None:
                self._not_opened(tried.error, loop.time())
        finally:
            self._dialing = None
            self._wake()

    def _not_opened(self, error: Exception, now: float) -> None:
        """Whatever it was, it is not tried again at once."""
        if not isinstance(error, OSError):
            log.error("connection_not_opened", host=self._endpoint.host, exc_info=error)
        self._back_off(now, failure(error))
        if not self._taking():
            self._answer_waiting(self._trouble)

    async def _open(self) -> Link[Key | _Fetch]:
        """A connection whose server sent its first SETTINGS.

        Raises:
            OSError: no connection.
        """
        channel = await Channel.open(self._endpoint, self._limits.connect_timeout_s)
        link: Link[Key | _Fetch] = Link(channel, self._limits, self._wake, self._jitter())
        try:
            async with asyncio.timeout(self._limits.settings_timeout_s):
                await link.ready
        except BaseException:
            link.close()
            raise
        return link

    # The tick: clocks.

    def _tick(self) -> None:
        self._ticking = None
        self._wake()
        now = asyncio.get_running_loop().time()
        for link in self._links:
            if not link.failed and not link.sweep(now):
                link.fail(_DEAD)
            idle_s = self._limits.idle_s
            if now >= link.retires_at or (idle_s is not None and link.h2.idle_s(now) >= idle_s):
                link.leave()
        for queue in (self._again, self._urgent, self._fresh):
            while queue and queue[0].deadline_at <= now:
                self._answers.append((queue.popleft().key, _WAITED))
