"""Tasks: a worker's endless loops. An error is logged and counted, and after a pause the task continues."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushkeeper.worker.metrics import WorkerMetrics

T = TypeVar("T")
log = logger("worker")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
# A job that is done once a minute or once an hour: soon again after a failure, but not every two seconds for ever.
LONGEST_PAUSE_BETWEEN_JOBS_S = 60.0
UNTIL_DONE_PAUSE_S = 1.0
_DOUBLINGS = 10


class Task(NamedTuple):
    """One of a worker's tasks, by the name that logs and metrics have for it; `run` returns only when it is to end."""

    name: str
    run: Callable[[], Awaitable[None]]


class Backoff:
    """The pauses of one task after consecutive failures, each twice as long as the one before."""

    def __init__(self, task: str, metrics: WorkerMetrics, *, longest_s: float = LONGEST_PAUSE_S) -> None:
        self._task = task
        self._metrics = metrics
        self._longest_s = longest_s
        self.failures = 0  # in a row

    def failed(self, error: Exception) -> float:
        """Log and count a failure; for how many seconds to pause now."""
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self.failures, _DOUBLINGS), self._longest_s)
        self.failures += 1
        if isinstance(error, Unreachable):
            self._metrics.failed(self._task, "not_now")
            log.warning("task_waits_for_the_database", task=self._task, error=error.message)
        else:
            self._metrics.failed(self._task, "unexpected")
            log.error("task_failed", task=self._task, exc_info=error)
        return pause_s

    def succeeded(self) -> None:
        """The next failure is the first in a row."""
        self.failures = 0


async def supervised(backoff: Backoff, work: Callable[[], Awaitable[None]]) -> float | None:
    """Do something once, whatever it raises; for how many seconds to pause after it failed, None when it did not."""
    with isolated() as tried:
        await work()
    return None if tried.error is None else backoff.failed(tried.error)


async def keep(task: Task, metrics: WorkerMetrics) -> None:
    """Run a task until it returns; whenever it raises, run it again after a pause."""
    backoff = Backoff(task.name, metrics)
    while True:
        pause_s = await supervised(backoff, task.run)
        if pause_s is None:
            return
        await asyncio.sleep(pause_s)


def every(
    name: str,
    seconds: float | Callable[[], float],
    job: Callable[[], Awaitable[None]],
    metrics: WorkerMetrics,
    told: asyncio.Event | None = None,
) -> Task:
    """Do a job now, then every so often and whenever the event is set; after a failure it is done again sooner."""
    event = told or asyncio.Event()
    backoff = Backoff(name, metrics, longest_s=LONGEST_PAUSE_BETWEEN_JOBS_S)

    async def run() -> None:
        while True:
            event.clear()
            if (pause_s := await supervised(backoff, job)) is not None:
                # Not by the event: frequent notifications would retry without a pause.
                await asyncio.sleep(min(pause_s, _in_seconds(seconds)))
                continue
            backoff.succeeded()
            with suppress(TimeoutError):
                async with asyncio.timeout(_in_seconds(seconds)):
                    await event.wait()

    return Task(name, run)


def whenever(
    event: asyncio.Event, name: str, job: Callable[[], Awaitable[None]], metrics: WorkerMetrics
) -> Task:
    """Run a job whenever an event is set, and after a failure again without it."""
    backoff = Backoff(name, metrics)

    async def run() -> None:
        while True:
            await event.wait()
            event.clear()
            if (pause_s := await supervised(backoff, job)) is not None:
                await asyncio.sleep(pause_s)
                event.set()
            else:
                backoff.succeeded()

    return Task(name, run)


async def until_done(work: Callable[[], Awaitable[T]]) -> T:
    """Do something that must not be lost as soon as the database answers."""
    while True:
        try:
            return await work()
        except Unreachable as error:
            log.warning("work_waits_for_the_database", error=error.message)
            await asyncio.sleep(UNTIL_DONE_PAUSE_S)


def _in_seconds(seconds: float | Callable[[], float]) -> float:
    return seconds() if callable(seconds) else seconds
