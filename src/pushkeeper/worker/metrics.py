"""What a worker counts of itself: told to the database with its signs of life, as it has no door of its own."""

from __future__ import annotations

import time
from collections import Counter
from math import inf
from typing import TYPE_CHECKING

import psutil

from pushkeeper.core.delivery.rate_limit import Phase
from pushkeeper.core.delivery.reason_codes import MEANINGS, OTHER
from pushkeeper.core.delivery.retry import Settled
from pushkeeper.core.model import Provider
from pushkeeper.observability import logs
from pushkeeper.observability.meters import Meters, Series
from pushkeeper.observability.metrics import Metric
from pushkeeper.store.reports import metrics
from pushkeeper.worker.results import Answered, NotSent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from pushkeeper.core.delivery.refusal_guard import Result
    from pushkeeper.core.model import RouteKey
    from pushkeeper.store.delivery.queue import ClaimedBatch
    from pushkeeper.store.delivery.workers import MetricSample
    from pushkeeper.worker.lanes import Lanes
    from pushkeeper.worker.results import PushResult

_NO_PROVIDER = "none"


class WorkerMetrics:
    """The metrics of one worker. Routes are labelled by number: readers look up their names."""

    def __init__(self) -> None:
        self._meters = Meters()
        self.polls: Callable[[], bool] = lambda: False
        self._process = psutil.Process()
        self._published: dict[str, float] = {}
        self._base: dict[str, float] = {}
        self._slices = self._meters.spread(Metric.SETTLE_DURATION)
        self._facts = self._meters.spread(Metric.SETTLE_FACTS)
        self._claims = self._meters.spread(Metric.CLAIM_DURATION)
        self._claimed = self._meters.count(Metric.CLAIMED)
        self._sends = {name.value: self._meters.spread(Metric.SEND_DURATION, name.value) for name in Provider}

    # What happens.

    def claimed(self, batches: Sequence[ClaimedBatch], *, took_s: float, now: datetime) -> None:
        """The queue was polled, and returned these."""
        self._claims.observe(took_s)
        for batch in batches:
            late_s = max((now - batch.due_at).total_seconds(), 0.0)
            self._meters.spread(Metric.CLAIM_DELAY, str(batch.priority)).observe(late_s)
            self._claimed.value += len(batch.targets)

    def answered(self, handed: Iterable[tuple[str, float]], *, now: float) -> None:
        """Pushes were answered, each by its provider, that had been handed over at these times."""
        for provider, handed_at in handed:
            self._sends[provider].observe(now - handed_at)

    def count_results(self, results: Mapping[RouteKey, Mapping[Result, int]]) -> None:
        """What routes' answers came to."""
        for (_, route), counts in results.items():
            for result, count in counts.items():
                self._meters.count(Metric.ROUTE_ANSWERS, "", str(route), result.value).value += count

    def settled(self, outcomes: Sequence[PushResult], *, took_s: float) -> None:
        """A slice was written."""
        self._slices.observe(took_s)
        self._facts.observe(len(outcomes))
        for (provider, ending, reason), count in Counter(filter(None, map(_ending, outcomes))).items():
            self._meters.count(
                Metric.PUSHES, provider, ending, reason if reason in MEANINGS else OTHER
            ).value += count

    def posted(self, outcome: str) -> None:
        """A webhook was called: it was taken, refused or unanswered."""
        self._meters.count(Metric.WEBHOOK_POSTS, outcome).value += 1

    def worked(self, kind: str, outcome: str) -> None:
        """An attempt at a job ended: it is done, put off, failed or given back."""
        self._meters.count(Metric.JOB_ATTEMPTS, kind, outcome).value += 1

    def failed(self, task: str, reason: str) -> None:
        """A task of the worker failed, and continues: `not_now` because of the database, or `unexpected`."""
        self._meters.count(Metric.TASK_FAILURES, task, reason).value += 1

    # Publishing.

    def changed(self, lanes: Lanes, unsettled: int, *, now: float, new: bool) -> list[MetricSample]:
        """What changed since the last publication; everything unpublished if the database does not know this worker.

        A forgotten worker's published counts were added to those of all workers: it continues from there.
        """
        base = self._published if new else self._base
        published = {} if new else self._published
        return [
            sample._replace(value=sample.value - base.get(sample.series, 0.0)) if sample.adds_up else sample
            for sample in self._metrics(lanes, unsettled, now)
            if published.get(sample.series) != sample.value
        ]

    def mark_published(self, several: Sequence[MetricSample], *, new: bool) -> None:
        """These are committed."""
        if new:
            self._base = dict(self._published)
        for sample in several:
            base = self._base.get(sample.series, 0.0) if sample.adds_up else 0.0
            self._published[sample.series] = sample.value + base

    def _metrics(self, lanes: Lanes, unsettled: int, now: float) -> list[MetricSample]:
        cpu, memory = self._process.cpu_times(), self._process.memory_info()
        self._meters.count(Metric.WORKER_CPU).value = cpu.user + cpu.system
        self._meters.count(Metric.WORKER_LOG_DROPPED).value = float(logs.dropped())
        gauges = [
            Series(Metric.WORKER_MEMORY, (), float(memory.rss)),
            Series(Metric.UNSETTLED, (), float(unsettled)),
            Series(Metric.POLLING, (), float(self.polls())),
        ]
        for lane in lanes:
            route, until = ("", str(lane.route.route_id)), lane.route.throttled_until
            slowed_for_s = None if until is None else time.time() - until.timestamp()
            per_s = lane.per_s(now, lanes.workers, slowed_for_s)
            gauges += [
                Series(Metric.ROUTE_IN_FLIGHT, route, float(lane.unsettled)),
                Series(Metric.ROUTE_BREAKER, route, float(lane.breaker.phase(now) is Phase.OPEN)),
                Series(Metric.ROUTE_RATE, route, inf if per_s is None else per_s),
            ]
        return metrics.written([*self._meters.series(), *gauges])


def _ending(outcome: PushResult) -> tuple[str, str, str] | None:
    match outcome:
        case Answered(decision=Settled(end=end), route=route, verdict=verdict):
            return route.provider.value, end.value, verdict.code
        case NotSent(end=end, reason=reason):
            return _NO_PROVIDER, end.value, reason
        case _:
            return None
