"""What a worker does beside sending: it listens, asks after paused routes, and keeps the tables in order."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pushkeeper.core.actor import job
from pushkeeper.core.delivery.outcome import Accepted, Refused
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.services.audit import write_with
from pushkeeper.store import unreadable_rows
from pushkeeper.store.db import migrate
from pushkeeper.store.delivery import queue, routes, workers
from pushkeeper.store.devices import spellings
from pushkeeper.store.messages import messages
from pushkeeper.store.people import events
from pushkeeper.worker.tasks import every, until_done

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.delivery.routes import Route
    from pushkeeper.store.delivery.workers import MetricSample
    from pushkeeper.worker.lanes import Lanes
    from pushkeeper.worker.metrics import WorkerMetrics
    from pushkeeper.worker.provider_clients import ProviderClients
    from pushkeeper.worker.tasks import Task

log = logger("worker")

PROBE_S = 5.0
PROBE_AGAIN_S = 300.0
EXPIRE_S = 60.0
PARTITIONS_S = 3600.0


class PeriodicTask(Protocol):
    """A task that a worker runs periodically beside sending.

    Attributes:
        name: its name in logs and metrics.
        look_every_s: seconds until the next run, read after each run.
        channel: notifications on it trigger a run; None without one.
    """

    name: str
    look_every_s: float
    channel: str | None

    async def look(self) -> None: ...
    async def aclose(self) -> None: ...


def setting(event: asyncio.Event) -> Callable[[str], None]:
    """A listener that sets an event, whatever the text."""
    return lambda _: event.set()


def tidying(database: Database, metrics: WorkerMetrics) -> list[Task]:
    """What any worker does now and then to keep the tables in order, whichever pushes it sends."""
    jobs: dict[str, tuple[float, Callable[[Database], Awaitable[object]]]] = {
        "expired": (EXPIRE_S, queue.take_expired_out_of_lanes),
        "contents": (EXPIRE_S, messages.forget_contents),
        "partitions": (PARTITIONS_S, migrate.make_partitions),
        "events": (PARTITIONS_S, events.clean),
        "spellings": (PARTITIONS_S, spellings.merge_all),
        "unreadable": (PARTITIONS_S, unreadable_rows.clean),
    }

    def task(name: str, seconds: float, job: Callable[[Database], Awaitable[object]]) -> Task:
        async def run() -> None:
            await job(database)

        return every(name, seconds, run, metrics)

    return [task(name, seconds, job) for name, (seconds, job) in jobs.items()]


async def beat(
    database: Database, worker: UUID, lanes: Lanes, metrics: WorkerMetrics, unsettled: int
) -> None:
    """Say that this worker is alive and what it counted, and let its lanes know how many share the rates."""
    told: Sequence[MetricSample] = ()

    def changed(*, new: bool) -> Sequence[MetricSample]:
        nonlocal told
        told = metrics.changed(lanes, unsettled, now=time.monotonic(), new=new)
        return told

    alive = await workers.beat(database, worker, changed)
    metrics.mark_published(told, new=alive.new)
    lanes.workers = alive.workers


async def probe(database: Database, lanes: Lanes, clients: ProviderClients, *, drain_s: float) -> None:
    """Probe the providers of paused routes; the response changes no device.

    Raises:
        Unreachable: the database does not answer.
    """
    for route in await routes.due_probes(database, again_after_s=PROBE_AGAIN_S):
        with isolated(log, "route_not_probed", route=route.name):  # the others are
            # Nobody else probes this route for minutes: the result is not dropped when the database is unavailable.
            await until_done(partial(_probe, database, lanes, clients, route, drain_s))


async def _probe(
    database: Database, lanes: Lanes, clients: ProviderClients, route: Route, drain_s: float
) -> None:
    lanes.refresh([route])
    if await clients.ready(route, drain_s=drain_s) is not None:
        return
    verdict = await clients[route.credential_id].probe()
    # A rejected made-up token means that the route works.
    well = isinstance(verdict.outcome, Accepted | Refused)
    log.info("route_probed", route=route.name, well=well, code=verdict.code, reason=verdict.reason)
    if well:
        await _resume(database, route)


async def _resume(database: Database, route: Route) -> None:
    async def work(connection: Connection) -> None:
        await routes.resume(connection, route.workspace_id, [route.route_id])
        detail = "the provider takes its key again"
        await write_with(connection, job("probe"), "route.resume", route.workspace_id, route.name, detail)

    await database.in_transaction(work)
