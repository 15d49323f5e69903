"""What reads a large workspace: audiences counted beside SQL by hand, broadcasts planned, and "why?" answered."""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import psutil

from benchmarks.figures import Beside, Figure, percentile
from benchmarks.fixtures import Size, loaded
from benchmarks.fleet import BY
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Content
from pushkeeper.errors import Misconfigured, TooSlow
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.services.broadcasts.planner import Planning
from pushkeeper.store.db.queries import read_queries
from pushkeeper.worker.jobs.broadcasts import Planner
from pushkeeper.worker.jobs.runner import Jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.fixtures import Loaded

T = TypeVar("T")

DEVICES = 1_000_000
QUICK_DEVICES = 2_000
PUSHES_FOR_EACH = 5  # of ninety days
_RUNS = 7
_QUESTIONS = 400
_GOAL_OF_COUNTS = "1.2 x as long as by hand; 1,000 ms"

BY_HAND = read_queries(
    resources.files("benchmarks").joinpath("sql", "by_hand.sql").read_text(encoding="utf-8")
)


class Case(NamedTuple):
    """A filter, and the query of `by_hand.sql` that asks for the same."""

    filter: str
    by_hand: str


_CASES = (
    Case("platform = ios and last_status = suppressed", "of_devices"),
    Case("platform = ios and app_version < 4.2", "of_versions"),
    Case("platform = ios and person.plan = pro", "of_attributes"),
    Case("segment {segment}", "of_a_segment"),
    Case("event bought within 7d", "of_events"),
)
_INDEXED = Case("person.visits >= 990", "of_an_index")


async def measure(*, devices: int = DEVICES) -> list[Figure]:
    """Counts beside hand-written ones, a preview, an estimate, a plan and explanations, on a workspace of a number of devices."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        size = Size.of(devices, pushes=devices * PUSHES_FOR_EACH)
        async with loaded(Path(folder), size) as found:
            return [
                *await _counts(found),
                *await _previews(found),
                await _plan(found, devices),
                *await _explanations(found, size),
            ]


# Audiences.


async def _counts(found: Loaded) -> list[Figure]:
    database = found.store.database
    segment = await database.value("select segment_id from segments where name = 'One in twenty'")
    figures = [await _count(found, case, segment) for case in _CASES]
    # As somebody would who asks this often: by the index that we advise, and by one for the query by hand.
    plan = await found.store.services.audiences.explain(found.workspace_id, _INDEXED.filter, Unit.DEVICE)
    for sql in (*(one.index.sql for one in plan.advice), BY_HAND["index"]):
        await database.owned.rows(sql)
    await database.owned.rows("vacuum analyze people")
    return [*figures, await _count(found, _INDEXED, segment)]


async def _count(found: Loaded, case: Case, segment: int) -> Figure:
    audiences = found.store.services.audiences
    asked = case.filter.format(segment=segment)
    sql = BY_HAND[case.by_hand]
    arguments = (found.workspace_id, segment) if "$2" in sql else (found.workspace_id,)
    ours, by_hand = [], []
    for _ in range(_RUNS):
        counted, took_s = await _timed(lambda: audiences.size(found.workspace_id, asked, Unit.DEVICE))
        ours.append(took_s)
        rows, took_s = await _timed(lambda: found.store.database.survey(sql, *arguments))
        by_hand.append(took_s)
        if counted.people != rows[0]["people"]:
            raise Misconfigured(f"bench: {asked} counts {counted}, and {rows[0]['people']} people by hand")
    return Figure(
        name=f"count, {asked}",
        requests_per_s=1 / statistics.median(ours),
        p50_ms=percentile(sorted(ours), 0.5),
        p99_ms=percentile(sorted(ours), 0.99),
        beside=(Beside(name="SQL by hand", requests_per_s=1 / statistics.median(by_hand)),),
        goal=_GOAL_OF_COUNTS,
    )


async def _previews(found: Loaded) -> list[Figure]:
    audiences = found.store.services.audiences
    asked = _CASES[1].filter

    async def preview() -> object:
        return await audiences.preview(found.workspace_id, asked, Unit.DEVICE)

    async def estimate() -> None:
        # One that is late is as long as it took.
        with suppress(TooSlow):
            await audiences.estimate(found.workspace_id, asked, Unit.DEVICE, within_s=0.3)

    return [
        await _repeated("preview of the same", preview, runs=_RUNS, goal=""),
        await _repeated("estimate of the same within 300 ms", estimate, runs=_RUNS, goal="300 ms"),
    ]


# A broadcast to all, planned.


async def _plan(found: Loaded, devices: int) -> Figure:
    """Every page of it, as a worker's planner does it; nobody sends what it plans."""
    rooms = found.store.services.broadcasts
    made = await rooms.create(
        BY,
        found.workspace_id,
        BroadcastRequest(
            content=Content(title="News", message="Some"), audience="everybody", send_to_unsubscribed=True
        ),
    )
    await rooms.start(BY, found.workspace_id, made.broadcast_id)
    planner = Planner(Planning(found.store.database), most_batches=devices)
    process, held = psutil.Process(), [0]
    before = process.memory_info().rss
    started = time.perf_counter()
    planning = asyncio.create_task(Jobs(found.store.database, planner).finish())
    while not planning.done():
        await asyncio.wait([planning], timeout=0.05)
        held.append(process.memory_info().rss - before)
    await planning
    took_s = time.perf_counter() - started
    planned = await found.store.database.value("select sum(cardinality(device_ids)) from batches")
    if planned != devices:
        raise Misconfigured(f"bench: {planned:,} of {devices:,} devices are planned for")
    return Figure(
        name=f"plan, {devices:,} devices",
        requests_per_s=devices / took_s,
        rss_mb=max(held) / 2**20,
        goal="200,000 devices/s; memory flat (MB: what it grew by)",
    )


# Why?


async def _explanations(found: Loaded, size: Size) -> list[Figure]:
    explanations = found.store.services.explanations
    rows = await found.store.database.rows(
        "select message_id from messages where workspace_id = $1 and content ->> 'title' <> 'News'",
        found.workspace_id,
    )
    messages = [str(row["message_id"]) for row in rows]
    choice = random.Random(size.people)  # noqa: S311 - it chooses, it guards nothing

    async def ask(message: str | None) -> object:
        person = Identifier(IdentifierKind.ID, str(choice.randint(1, size.people)))
        return await explanations.why(found.workspace_id, person=person, message=message)

    questions = min(_QUESTIONS, size.people)
    return [
        await _repeated(
            "explain, would one reach them now", lambda: ask(None), runs=questions, goal="p99 100 ms"
        ),
        await _repeated(
            "explain, one of ninety broadcasts",
            lambda: ask(choice.choice(messages)),
            runs=questions,
            goal="p99 100 ms",
        ),
    ]


async def _repeated(name: str, does: Callable[[], Awaitable[object]], *, runs: int, goal: str) -> Figure:
    took = sorted([(await _timed(does))[1] for _ in range(runs)])
    return Figure(
        name=name,
        requests_per_s=runs / sum(took),
        p50_ms=percentile(took, 0.5),
        p99_ms=percentile(took, 0.99),
        goal=goal,
    )


async def _timed(does: Callable[[], Awaitable[T]]) -> tuple[T, float]:
    """What was answered, and in how many seconds."""
    started = time.perf_counter()
    found = await does()
    return found, time.perf_counter() - started
