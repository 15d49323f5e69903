"""Group commit: concurrent calls of one kind become one statement over arrays; each is answered after the commit."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from pushkeeper.errors import TooManyRequests, Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric
from pushkeeper.store.db import patience
from pushkeeper.store.db.turns import Keys, Turns, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence

Call = TypeVar("Call")
Result = TypeVar("Result")

_SLOW_S = 0.05
# uvloop counts milliseconds: by its clock a timer may seem to go off too early, and no other follows.
_TICK_S = 0.001
_AMPLE = 32  # calls
_SERIAL = 20  # serial calls in one commit: each takes about a millisecond
_SERIAL_LANES = 3
_LONGEST_REST_S = 0.5
_ADDED_AT_ONCE = 200  # calls: a millisecond of the event loop


class _Waiting(Waiting[Call], Generic[Call, Result]):
    __slots__ = ("answer", "deadline", "since", "until")

    def __init__(
        self, call: Call, keys: Keys, answer: asyncio.Future[Result], times: tuple[float, float, float]
    ) -> None:
        """`times`: it waits since then, its commit is to begin by then, and to end by then."""
        super().__init__(call, keys)
        self.answer = answer
        self.since, self.deadline, self.until = times


class Combiner(Generic[Call, Result]):
    """Groups calls into commits, in order for each key, with owners taking turns.

    Two calls of one key are in one commit only if both share it. Otherwise the later one waits for the next commit,
    so that callers see them in sequence although a commit is one statement.

    While one commit runs, the next group gathers: no call waits for a timer, and a lone call runs at once.

    Serial calls have separate commits, each of one owner, which then pauses for as long as it took: nobody else waits for it.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Call]], Awaitable[Sequence[Result]]],
        keys: Callable[[Call], Keys],
        *,
        name: str,
        most: int = 500,
        lanes: int = 4,
        most_unfinished: int = 20_000,
    ) -> None:
        """`commit` writes the calls in one transaction and returns as many results, in the same order.

        Args:
            commit: raises to fail the group; a group that fails is tried again in parts, down to single calls, so that
                the error of one call does not fail its neighbours.
            keys: what a call concerns; those that share a key are written in the order in which they came.
            name: the label of its metrics.
            most: calls in one commit.
            lanes: commits under way at once. The second starts when many wait, so that neither the database nor we are
                idle while the other works; fewer are better off in one commit, by measurement. More start only when
                those are slow: one that waits for a lock must not hold up strangers. One lane is never an owner's who
                is in all others.
            most_unfinished: calls of one owner that wait or are under way; more are refused.
        """
        self._commit = commit
        self._keys = keys
        self._turns: Turns[Call] = Turns(most=most, most_serial=_SERIAL, most_groups_of_one=max(lanes - 1, 1))
        self._lanes = lanes
        self._most_unfinished = most_unfinished
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started_at = 0.0
        self._under_way: set[asyncio.Task[None]] = set()
        self._serial_under_way: set[asyncio.Task[None]] = set()
        self._calls = PROCESS.spread(Metric.COMMIT_CALLS, name)
        self._waits = PROCESS.spread(Metric.COMMIT_WAIT, name)
        self._durations = PROCESS.spread(Metric.COMMIT_DURATION, name)

    async def __call__(self, call: Call) -> Result:
        """The result of this call, once it is committed.

        Raises:
            TooManyRequests: its owner has too many that wait.
        """
        [answer] = self.submit([call])
        with patience.spent():
            return await answer

    async def all(self, calls: Sequence[Call]) -> list[Result | BaseException]:
        """The same for calls of one owner, in their order, each with its result or its error; others continue meanwhile.

        Raises:
            TooManyRequests: the owner has too many queued calls; none of these was taken.
        """
        self._refuse_too_many(calls)
        parts: list[list[asyncio.Future[Result]]] = []
        found: list[Result | BaseException] = []
        try:
            for start in range(0, len(calls), _ADDED_AT_ONCE):
                parts.append(self._add(calls[start : start + _ADDED_AT_ONCE]))
                await asyncio.sleep(0)
            with patience.spent():
                for part in parts:
                    found += await asyncio.gather(*part, return_exceptions=True)
        finally:
            for answer in (answer for part in parts for answer in part if not answer.done()):
                answer.cancel()
        return found

    def submit(self, calls: Sequence[Call]) -> list[asyncio.Future[Result]]:
        """The same without waiting: what is submitted one after the other keeps that order.

        Raises:
            TooManyRequests: the owner has too many queued calls; none of these was taken.
        """
        self._refuse_too_many(calls)
        return self._add(calls)

    def _refuse_too_many(self, calls: Sequence[Call]) -> None:
        before = self._turns.unfinished(self._keys(calls[0]).owner) if calls else 0
        if before and before + len(calls) > self._most_unfinished:
            raise TooManyRequests(
                f"too many requests: {before} calls of this workspace wait to be written; send fewer at once"
            )

    def _add(self, calls: Sequence[Call]) -> list[asyncio.Future[Result]]:
        loop = self._running_loop()
        # The loop's clock does not advance within a turn.
        times = perf_counter(), *patience.deadlines(time.monotonic())
        waiting: list[_Waiting[Call, Result]] = [
            _Waiting(call, self._keys(call), loop.create_future(), times) for call in calls
        ]
        for one in waiting:
            self._turns.add(one)
        self._start()
        return [one.answer for one in waiting]

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop, kept: for each look CPython 3.11 asks the system for the number of the process."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    async def drain(self) -> None:
        """Wait until nothing is waiting or under way."""
        while under_way := self._under_way | self._serial_under_way:
            await asyncio.wait(under_way)

    def _start(self) -> None:
        while self._turns.ready and self._may_start():
            group = self._turns.next_group()
            if not group:
                break
            self._started_at = self._running_loop().time()
            self._launch(group, self._under_way)
        while self._turns.serial_ready and len(self._serial_under_way) < _SERIAL_LANES:
            group = self._turns.next_serial_group()
            if not group:
                break
            self._launch(group, self._serial_under_way)

    def _may_start(self) -> bool:
        if not self._under_way:
            return True
        if len(self._under_way) >= self._lanes:
            return False
        if len(self._under_way) == 1 and self._turns.ready >= _AMPLE:
            return True
        return self._running_loop().time() - self._started_at >= _SLOW_S - _TICK_S

    def _launch(self, group: list[Waiting[Call]], under_way: set[asyncio.Task[None]]) -> None:
        calls = cast("list[_Waiting[Call, Result]]", group)
        self._calls.observe(len(calls))
        self._waits.observe(perf_counter() - calls[0].since)
        self._running_loop().call_later(_SLOW_S, self._start)
        task = asyncio.create_task(self._run(calls))
        under_way.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            self._turns.ended(group)
            self._start()

        task.add_done_callback(ended)

    async def _run(self, group: list[_Waiting[Call, Result]]) -> None:
        began_at = perf_counter()
        now = time.monotonic()
        in_time = [waiting for waiting in group if waiting.deadline > now]
        # Not that of the caller who triggered this commit.
        within_s = min((waiting.until for waiting in in_time), default=now) - now
        try:
            if len(in_time) < len(group):
                late = [waiting for waiting in group if waiting.deadline <= now]
                self._fail(
                    late, Unreachable("the database is too busy: what came before was not written in time")
                )
            if in_time:
                with patience.limited(within_s):
                    await self._write(in_time)
        finally:
            took_s = perf_counter() - began_at
            self._durations.observe(took_s)
        if group[0].serial:
            # All are answered. The owner's next begin later, so that the half of processor and database is for others; but
            # soon enough to be answered in time themselves.
            await asyncio.sleep(min(took_s, _LONGEST_REST_S))

    async def _write(self, group: list[_Waiting[Call, Result]]) -> None:
        """Commit a group; where that fails each owner's part of it, and then the halves of those that fail, in order."""
        parts = deque([group])
        whole = 1  # how many of the parts are all of an owner's calls, or of all owners'
        while parts:
            part = parts.popleft()
            whole -= 1
            with isolated() as tried:
                results = await self._commit([waiting.item for waiting in part])
            if isinstance(error := tried.error, Unreachable):
                self._fail([waiting for one in (part, *parts) for waiting in one], error)
                return
            if error is not None:  # whatever it was, each caller gets an answer of its own
                if len(part) == 1:
                    self._fail(part, error)
                elif len(by_owner := _by_owner(part)) > 1:
                    parts.extend(by_owner)
                    whole = len(by_owner)
                elif whole > 0:  # other owners first
                    parts.extend(_halves(part))
                else:
                    parts.extendleft(reversed(_halves(part)))
            else:
                self._succeed(part, results)
            if parts:
                self._start()

    def _succeed(self, group: Iterable[_Waiting[Call, Result]], results: Sequence[Result]) -> None:
        for waiting, result in zip(group, results, strict=True):
            self._turns.finished(waiting)
            if not waiting.answer.done():
                waiting.answer.set_result(result)

    def _fail(self, group: Iterable[_Waiting[Call, Result]], error: Exception) -> None:
        for waiting in group:
            self._turns.finished(waiting)
            if not waiting.answer.done():
                # One exception object raised in many tasks would gather all their tracebacks: each gets its own.
                own = error
                if isinstance(error, Unreachable):
                    own = Unreachable(error.message, retry_after_s=error.retry_after_s)
                waiting.answer.set_exception(own)


def _by_owner(group: Sequence[_Waiting[Call, Result]]) -> list[list[_Waiting[Call, Result]]]:
    parts: dict[Hashable, list[_Waiting[Call, Result]]] = {}
    for waiting in group:
        parts.setdefault(waiting.owner, []).append(waiting)
    return list(parts.values())


def _halves(part: list[_Waiting[Call, Result]]) -> list[list[_Waiting[Call, Result]]]:
    middle = len(part) // 2
    return [part[:middle], part[middle:]]
