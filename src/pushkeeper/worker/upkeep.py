"""What a worker does beside sending: it listens, asks after paused routes, and keeps the tables in order."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from pushkeeper.core.outcome import Accepted, Refused
from pushkeeper.errors import Unreachable
from pushkeeper.store import batches, events, messages, migrate, routes, spellings, unreadable, workers
from pushkeeper.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from uuid import UUID

    from pushkeeper.store.database import Connection, Database
    from pushkeeper.store.routes import Route
    from pushkeeper.store.workers import Figure
    from pushkeeper.worker.figures import Figures
    from pushkeeper.worker.lanes import Lanes
    from pushkeeper.worker.senders import Senders

log = logger("worker")

PROBE_S = 5.0
PROBE_AGAIN_S = 300.0
EXPIRE_S = 60.0
PARTITIONS_S = 3600.0


class Chore(Protocol):
    """Something that a worker does beside the sending: it looks now and then whether there is anything to do.

    Attributes:
        look_every_s: how long from one look to the next, as it is after a look.
        channel: on which it is told of that; None where nobody tells.
    """

    look_every_s: float
    channel: str | None

    async def look(self) -> None: ...
    async def aclose(self) -> None: ...


async def every(
    seconds: float | Callable[[], float],
    job: Callable[[], Awaitable[None]],
    told: asyncio.Event | None = None,
) -> None:
    """Do a job now and then, and when told to, whatever comes of it; how often may change with what it finds."""
    told = told or asyncio.Event()
    while True:
        told.clear()
        try:
            await job()
        except Unreachable as error:
            log.warning("upkeep_waits_for_the_database", error=error.message)
        except Exception:
            log.exception("upkeep_error")
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds() if callable(seconds) else seconds):
                await told.wait()


async def look_after(chore: Chore, told: asyncio.Event) -> None:
    """Let a chore look now and then, and when it is told to."""
    await every(lambda: chore.look_every_s, chore.look, told)


def setting(event: asyncio.Event) -> Callable[[str], None]:
    """A listener that sets an event, whatever the text."""
    return lambda _: event.set()


def tidying(database: Database) -> list[Coroutine[None, None, None]]:
    """What any worker does now and then to keep the tables in order, whichever pushes it sends."""
    return [
        every(EXPIRE_S, lambda: batches.take_expired_out_of_lanes(database)),
        every(EXPIRE_S, lambda: messages.forget_contents(database)),
        every(PARTITIONS_S, lambda: migrate.make_partitions(database)),
        every(PARTITIONS_S, lambda: events.clean(database)),
        every(PARTITIONS_S, lambda: spellings.merge_all(database)),
        every(PARTITIONS_S, lambda: unreadable.clean(database)),
    ]


async def beat(database: Database, worker: UUID, lanes: Lanes, figures: Figures, unsettled: int) -> None:
    """Say that this worker is alive and what it counted, and let its lanes know how many share the rates."""
    told: Sequence[Figure] = ()

    def news(*, new: bool) -> Sequence[Figure]:
        nonlocal told
        told = figures.news(lanes, unsettled, now=time.monotonic(), new=new)
        return told

    alive = await workers.beat(database, worker, news)
    figures.was_told(told, new=alive.new)
    lanes.workers = alive.workers


async def probing(database: Database, lanes: Lanes, senders: Senders, *, drain_s: float) -> None:
    """Probe paused routes now and then."""
    await every(PROBE_S, lambda: probe(database, lanes, senders, drain_s=drain_s))


async def probe(database: Database, lanes: Lanes, senders: Senders, *, drain_s: float) -> None:
    """Ask the providers of paused routes whether they are well again; the answer touches no device."""
    for route in await routes.due_probes(database, again_after_s=PROBE_AGAIN_S):
        lanes.refresh([route])
        if await senders.ready(route, drain_s=drain_s) is not None:
            continue
        verdict = await senders[route.credential_id].probe()
        # That a made-up token is refused is what a route that is well says.
        well = isinstance(verdict.outcome, Accepted | Refused)
        log.info("route_probed", route=route.name, well=well, row=verdict.row, reason=verdict.reason)
        if well:
            await _resume(database, route)


async def _resume(database: Database, route: Route) -> None:
    async def work(connection: Connection) -> None:
        await routes.resume(connection, route.workspace_id, [route.route_id])

    await database.in_transaction(work)
