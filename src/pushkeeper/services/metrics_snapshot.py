"""Metrics: a snapshot of every metric, of this process, all workers and the database."""

from __future__ import annotations

import asyncio
import gc
import platform
import time
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

import psutil

from pushkeeper import __version__
from pushkeeper.errors import Unreachable
from pushkeeper.interprocess.metrics import EVERY_S
from pushkeeper.observability import logs
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.observability.meters import PROCESS, Series
from pushkeeper.observability.metrics import Metric
from pushkeeper.store import jobs, unreadable_rows
from pushkeeper.store.db import patience
from pushkeeper.store.delivery import routes, workers
from pushkeeper.store.reports import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from pushkeeper.interprocess.metrics import SharedMetrics
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.delivery.routes import Route

T = TypeVar("T")
log = logger("measures")

PATIENCE_S = 4.0  # Prometheus gives a scrape ten seconds
FIRST_ANSWER_WITHIN_S = 2.0
_REPLICA_WITHIN_S = 1.0
QUICK_FOR_S = 5.0
SLOW_FOR_S = 60.0
SLOW_TIMES = 50.0  # of many devices it takes long: at most a fiftieth of the time is spent on it


class CachedAnswer(Generic[T]):
    """A query's last result. When it is too old, one caller refreshes it for all.

    It is fresh for `fresh_for_s`, or for `times` as long as the query took, whichever is longer.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], *, fresh_for_s: float, times: float = 0.0) -> None:
        self._ask = ask
        self._times = times
        self._fresh_for_s = fresh_for_s
        self._answer: T | None = None
        self._fresh_until = 0.0
        self._rests_until = 0.0
        self._asking: asyncio.Task[T] | None = None

    async def current(self) -> T:
        """An answer that is fresh.

        Raises:
            Unreachable: the database does not answer.
        """
        if self._answer is None or time.monotonic() >= self._fresh_until:
            return await asyncio.shield(self._under_way())
        return self._answer

    async def last(self, *, within_s: float) -> T | None:
        """The last result, however old, while it is being refreshed; the first one is awaited briefly."""
        if time.monotonic() >= self._rests_until:
            asking = self._under_way()
            if self._answer is None:
                await asyncio.wait([asking], timeout=within_s)
        return self._answer

    def _under_way(self) -> asyncio.Task[T]:
        if self._asking is None:
            self._asking = asyncio.create_task(self._answered())
            self._asking.add_done_callback(self._asked)
        return self._asking

    async def _answered(self) -> T:
        patience.unlimited()  # it is for others too
        began = time.monotonic()
        try:
            answer = await self._ask()
        finally:
            ended = time.monotonic()
            self._rests_until = ended + max(self._fresh_for_s, (ended - began) * self._times)
        self._answer, self._fresh_until = answer, self._rests_until
        return answer

    def _asked(self, task: asyncio.Task[T]) -> None:
        self._asking = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("figures_not_asked", error=str(error))


class MetricsSnapshot:
    """Gathers all series for a scrape; results of scans over devices are cached for a minute, or fifty times as long as they took."""

    def __init__(self, database: Database, cell: int = 0, shared: SharedMetrics | None = None) -> None:
        """With shared metrics, this process's series are those of all processes of the service together."""
        self._database = database
        self._cell = cell
        self._shared = shared
        self._process = psutil.Process()
        self._postgresql = ""
        self._quick = CachedAnswer(self._ask_quick, fresh_for_s=QUICK_FOR_S)
        self._slow = CachedAnswer(self._ask_slow, fresh_for_s=SLOW_FOR_S, times=SLOW_TIMES)
        self._replica = CachedAnswer(self._ask_replica, fresh_for_s=QUICK_FOR_S)

    async def gather(self) -> list[Series]:
        """Every series; without those of the database and of the workers while that does not answer."""
        stored: list[Series] = []
        up = 0.0
        # A server that does not answer is what the series says.
        with (
            suppress(Unreachable, TimeoutError),
            isolated(log, "figures_not_gathered", passing=(Unreachable, TimeoutError)),
        ):
            async with asyncio.timeout(PATIENCE_S):
                stored += await self._quick.current()
                stored += await self._slow.last(within_s=FIRST_ANSWER_WITHIN_S) or []
            up = 1.0
        ours = [*self.own(), Series(Metric.DATABASE_UP, (), up)]
        processes = 1
        if self._shared is not None:
            ours, processes = self._shared.of_all(ours), self._shared.processes
        replica = await self._replica.last(within_s=_REPLICA_WITHIN_S) or []
        ours += [
            Series(Metric.PROCESSES, (), float(processes)),
            Series(Metric.CELL, (str(self._cell),), 1.0),
        ]
        return [*ours, *replica, *stored]

    def own(self) -> Iterator[Series]:
        """The series of this process."""
        yield from PROCESS.series()
        yield Series(Metric.BUILD, (__version__, platform.python_version(), self._postgresql), 1.0)
        with self._process.oneshot():
            cpu = self._process.cpu_times()
            yield Series(Metric.PROCESS_CPU, (), cpu.user + cpu.system)
            yield Series(Metric.PROCESS_MEMORY, (), float(self._process.memory_info().rss))
            yield Series(Metric.PROCESS_STARTED, (), self._process.create_time())
            yield Series(Metric.PROCESS_FILES, (), float(self._process.num_fds()))
        yield Series(Metric.LOG_DROPPED, (), float(logs.dropped()))
        for generation, runs in enumerate(gc.get_stats()):
            yield Series(Metric.GC_RUNS, (str(generation),), float(runs["collections"]))
            yield Series(Metric.GC_FOUND, (str(generation),), float(runs["collected"]))
        pool = self._database.connections
        yield Series(Metric.POOL_CONNECTIONS, ("busy",), float(pool.busy))
        yield Series(Metric.POOL_CONNECTIONS, ("idle",), float(pool.idle))
        yield Series(Metric.POOL_LIMIT, (), float(pool.most))

    async def _ask_replica(self) -> list[Series]:
        replica = self._database.replica
        if replica is None:
            return []
        await replica.look()
        found = [Series(Metric.REPLICA_UP, (), float(replica.trouble is None))]
        if replica.lag_s is not None:
            found.append(Series(Metric.REPLICA_LAG, (), replica.lag_s))
        return found

    async def _ask_quick(self) -> list[Series]:
        if not self._postgresql:
            self._postgresql = await metrics.server_version(self._database)
        names = await metrics.workspace_names(self._database)
        known: _Known = {
            route.route_id: (names.get(route.workspace_id, ""), route)
            for route in await routes.of_workspaces(self._database, list(names))
        }
        found = [Series(Metric.WORKERS, (), float(await workers.alive(self._database)))]
        found += _of_workers(metrics.read(await workers.totals(self._database)), known)
        found += _of_routes(known, await metrics.held(self._database))
        found += _of_queue(await metrics.queue(self._database))
        return found

    async def _ask_slow(self) -> list[Series]:
        counts = await metrics.devices(self._database)
        found = [Series(Metric.DEVICES, labels, float(count)) for labels, count in counts.items()]
        found.append(Series(Metric.DATABASE_SIZE, (), float(await metrics.size_bytes(self._database))))
        found += [
            Series(Metric.JOBS, (kind, state), float(count))
            for kind, state, count in await jobs.state_counts(self._database)
        ]
        found += [
            Series(Metric.UNREADABLE_ROWS, (one.workspace, one.table_name), float(one.rows))
            for one in await unreadable_rows.counts(self._database)
        ]
        for hook in await metrics.hooks(self._database):
            labels = (hook.workspace, str(hook.webhook_id))
            found += [
                Series(Metric.WEBHOOK_OUTBOX, labels, float(hook.waiting)),
                Series(Metric.WEBHOOK_FAILING, labels, hook.failing_s),
                Series(Metric.WEBHOOK_DISABLED, labels, float(hook.disabled)),
            ]
        return found


_Known = dict[int, "tuple[str, Route]"]  # a route's number → its workspace's name, and the route


def _of_workers(told: Iterable[Series], known: _Known) -> Iterator[Series]:
    """What workers told; of routes they know no more than the number."""
    for series in told:
        if "route" not in series.metric.value.labels:
            yield series
            continue
        _, number, *others = series.labels
        named = known.get(int(number))
        # A route that is gone has no name any more; one that is not bounded has no rate.
        if named is not None and series.value != inf:
            workspace, route = named
            yield Series(series.metric, (workspace, route.name, *others), series.value)


def _of_routes(known: _Known, held: Mapping[tuple[int, str], int]) -> Iterator[Series]:
    for workspace, route in known.values():
        name, kind = (workspace, route.name), route.pause_kind.value if route.pause_kind else "none"
        yield Series(Metric.ROUTE_PAUSED, (*name, kind), float(route.paused_at is not None))
        resting = route.throttled_until is not None and route.throttled_until.timestamp() > time.time()
        yield Series(Metric.ROUTE_THROTTLED, name, float(resting))
    for (route_id, why), count in held.items():
        if route_id in known:
            workspace, route = known[route_id]
            yield Series(Metric.HELD_VERDICTS, (workspace, route.name, why), float(count))


def _of_queue(waiting: Iterable[metrics.QueueDepth]) -> Iterator[Series]:
    for line in waiting:
        labels = (line.workspace, str(line.priority))
        yield Series(Metric.QUEUE_BATCHES, (*labels, line.state), float(line.batches))
        yield Series(Metric.QUEUE_DEVICES, (*labels, line.state), float(line.devices))
        if line.oldest_due_s is not None:
            yield Series(Metric.QUEUE_OLDEST, labels, line.oldest_due_s)


async def publish(snapshot: MetricsSnapshot, shared: SharedMetrics) -> None:
    """Let the other processes of the service read this one's figures, until cancelled."""
    begun = _publish(snapshot, shared.begin)
    try:
        while True:
            await asyncio.sleep(EVERY_S)
            begun = _publish(snapshot, shared.publish if begun else shared.begin) or begun
    finally:
        _publish(snapshot, shared.publish)


def _publish(snapshot: MetricsSnapshot, write: Callable[[Iterable[Series]], None]) -> bool:
    """Whether that was possible."""
    # Out of file descriptors, say: the service is not to end for want of its figures.
    with isolated(log, "figures_not_published") as tried:
        write(snapshot.own())
    return tried.error is None
