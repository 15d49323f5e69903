"""Group commit: concurrent calls of one kind become one statement over arrays; each is answered after the commit."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from time import perf_counter
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pushkeeper.errors import Unreachable
from pushkeeper.metrics import PROCESS, Metric

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence

Call = TypeVar("Call")
Result = TypeVar("Result")

_SLOW_S = 0.05
_AMPLE = 32  # calls


class Keys(NamedTuple):
    """What a call concerns (a device, a person's identifier, a workspace), and who may concern it at the same time.

    Attributes:
        alone: nobody.
        shared: others of the same commit that share it too.
        within: anybody who does not have it alone, in this commit or in another: what holds the things that are meant.
    """

    alone: tuple[Hashable, ...] = ()
    shared: tuple[Hashable, ...] = ()
    within: tuple[Hashable, ...] = ()


class _Waiting(Generic[Call, Result]):
    __slots__ = ("answer", "call", "keys", "since")

    def __init__(self, call: Call, keys: Keys, answer: asyncio.Future[Result], since: float) -> None:
        self.call = call
        self.keys = keys
        self.answer = answer
        self.since = since


class Combiner(Generic[Call, Result]):
    """Gathers calls and commits them together, in order for each key.

    Two calls of one key stand in one commit only where both share it. Else the later one waits for the next, so that
    what is one statement to the database is still one after the other to the caller.

    While one commit is under way the next group gathers: nobody waits for a timer, and a lone call goes at once.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Call]], Awaitable[Sequence[Result]]],
        keys: Callable[[Call], Keys],
        *,
        most: int = 500,
        lanes: int = 4,
    ) -> None:
        """`commit` writes the calls in one transaction and returns as many results, in the same order.

        Args:
            commit: raises to fail the group; a group that fails is tried again one by one, so that the error of one
                call does not fail its neighbours.
            keys: what a call concerns; those that share a key are written in the order in which they came.
            most: calls in one commit.
            lanes: commits under way at once. The second starts when many wait, so that neither the database nor we are
                idle while the other works; fewer are better off in one commit, by measurement. More start only when
                those are slow: one that waits for a lock must not hold up strangers.
        """
        self._commit = commit
        self._keys = keys
        self._most = most
        self._waiting: deque[_Waiting[Call, Result]] = deque()
        self._passed = 0  # of those waiting, how many were seen to wait for a commit under way
        self._busy: set[Hashable] = set()
        self._within: Counter[Hashable] = Counter()  # how many calls under way are within each
        self._lanes = lanes
        self._started_at = 0.0
        self._under_way: set[asyncio.Task[None]] = set()
        # Named for the room whose method commits.
        room = type(getattr(commit, "__self__", commit)).__name__.lower()
        self._calls = PROCESS.spread(Metric.COMMIT_CALLS, room)
        self._waits = PROCESS.spread(Metric.COMMIT_WAIT, room)
        self._durations = PROCESS.spread(Metric.COMMIT_DURATION, room)

    async def __call__(self, call: Call) -> Result:
        """The result of this call, once it is committed."""
        return await self.submit(call)

    def submit(self, call: Call) -> asyncio.Future[Result]:
        """The same without waiting: calls that are submitted one after the other keep that order."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        # The loop's own clock stands still within a turn.
        self._waiting.append(_Waiting(call, self._keys(call), answer, perf_counter()))
        self._start()
        return answer

    async def drain(self) -> None:
        """Wait until nothing is waiting or under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _start(self) -> None:
        while self._waiting and self._may_start():
            group = self._next_group()
            if not group:
                return
            loop = asyncio.get_running_loop()
            self._started_at = loop.time()
            self._calls.observe(len(group))
            self._waits.observe(perf_counter() - group[0].since)
            loop.call_later(_SLOW_S, self._start)
            task = asyncio.create_task(self._run(group))
            self._under_way.add(task)
            task.add_done_callback(self._finished)

    def _may_start(self) -> bool:
        if not self._under_way:
            return True
        if len(self._under_way) >= self._lanes:
            return False
        if len(self._under_way) == 1 and len(self._waiting) - self._passed >= _AMPLE:
            return True
        return asyncio.get_running_loop().time() - self._started_at >= _SLOW_S

    def _next_group(self) -> list[_Waiting[Call, Result]]:
        """The waiting calls, oldest first, whose keys nobody before them has; the rest keep their order."""
        group: list[_Waiting[Call, Result]] = []
        taken = set(self._busy)
        held = set(self._within)  # had beside others, so not to be had alone
        passed: deque[_Waiting[Call, Result]] = deque()
        while self._waiting and len(group) < self._most:
            waiting = self._waiting.popleft()
            keys = waiting.keys
            if (
                taken.isdisjoint(keys.alone)
                and taken.isdisjoint(keys.shared)
                and taken.isdisjoint(keys.within)
                and held.isdisjoint(keys.alone)
            ):
                group.append(waiting)
                held.update(keys.shared)
            else:
                passed.append(waiting)
                taken.update(keys.shared)
            taken.update(keys.alone)
            held.update(keys.within)
        self._passed = len(passed)
        self._waiting.extendleft(reversed(passed))
        for waiting in group:
            self._busy.update(waiting.keys.alone, waiting.keys.shared)
            self._within.update(waiting.keys.within)
        return group

    async def _run(self, group: list[_Waiting[Call, Result]]) -> None:
        began_at = perf_counter()
        try:
            results = await self._commit([waiting.call for waiting in group])
        except Unreachable as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - whatever it was, each caller gets an answer of its own
            await self._one_by_one(group, error)
        else:
            for waiting, result in zip(group, results, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(result)
        finally:
            self._durations.observe(perf_counter() - began_at)
            for waiting in group:
                self._busy.difference_update(waiting.keys.alone, waiting.keys.shared)
                self._within.subtract(waiting.keys.within)
            self._within += Counter()  # forgets what nobody is within

    async def _one_by_one(self, group: list[_Waiting[Call, Result]], error: Exception) -> None:
        if len(group) == 1:
            _fail(group, error)
            return
        for number, waiting in enumerate(group):
            try:
                (result,) = await self._commit([waiting.call])
            except Unreachable as lost:
                _fail(group[number:], lost)
                return
            except Exception as own:  # noqa: BLE001 - as above
                _fail([waiting], own)
            else:
                if not waiting.answer.done():
                    waiting.answer.set_result(result)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._passed = 0
        self._start()


def _fail(group: Iterable[_Waiting[Call, Result]], error: Exception) -> None:
    for waiting in group:
        if not waiting.answer.done():
            # One exception object raised in many tasks would gather all their tracebacks: each gets its own.
            own = type(error)(error.message) if type(error) is Unreachable else error
            waiting.answer.set_exception(own)
