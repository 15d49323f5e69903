"""One after the other, each by itself: what one item raises stops none that comes after it."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from pushkeeper.core import job_retry
from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable

    from pushkeeper.worker.metrics import WorkerMetrics

    T = TypeVar("T", bound=Hashable)

log = logger("jobs")

_MOST_UNREACHABLE = 3


class Each:
    """Does the items of a periodic task; those that failed are left out for a while, longer each time."""

    def __init__(self, kind: str, metrics: WorkerMetrics) -> None:
        """`kind` is what logs and metrics call it."""
        self._kind = kind
        self._metrics = metrics
        self._failures: dict[Hashable, int] = {}
        self._not_before: dict[Hashable, float] = {}

    async def do(self, items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
        """Do each item.

        Raises:
            Unreachable: the database did not respond to three in a row; a single one may have overloaded it.
        """
        unreachable = 0
        for item in items:
            if self._not_before.get(item, 0.0) > time.monotonic():
                continue
            with isolated(log, "item_failed", kind=self._kind, item=item) as tried:
                await work(item)
            if tried.error is not None:
                self._put_off(item)
                unreachable += isinstance(tried.error, Unreachable)
                if unreachable == _MOST_UNREACHABLE:
                    raise tried.error
            else:
                self._metrics.worked(self._kind, "done")
                self._failures.pop(item, None)
                self._not_before.pop(item, None)
                unreachable = 0

    def _put_off(self, item: Hashable) -> None:
        self._metrics.worked(self._kind, "put_off")
        self._failures[item] = failures = self._failures.get(item, 0) + 1
        wait_s = job_retry.wait_s(failures, random.random())  # noqa: S311 - it spreads load
        self._not_before[item] = time.monotonic() + wait_s
