"""Background queries that nobody waits for: an error is logged, and fails no caller."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING

import psutil
import pytest
from structlog.testing import capture_logs

from pushkeeper.interprocess.memory import SharedMemory
from pushkeeper.interprocess.metrics import SharedMetrics
from pushkeeper.observability.meters import Series
from pushkeeper.observability.metrics import Metric
from pushkeeper.services import metrics_snapshot
from pushkeeper.services.metrics_snapshot import MetricsSnapshot, publish
from pushkeeper.store.db import watchdog
from pushkeeper.store.db.watchdog import Watchdog
from support.engine import eventually
from support.faults import ANY_OTHER, BUGS, NOT_NOW, UNEXPECTED, Faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushkeeper.store.db.database import Database

ERRORS = {**UNEXPECTED, **BUGS, "57P01": NOT_NOW["57P01"]}
each_error = pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)


@each_error
async def test_a_scrape_is_answered_whatever_the_database_says(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    measures, faults = MetricsSnapshot(database), Faults(monkeypatch)
    faults.meet([ANY_OTHER], [error])
    with capture_logs():
        found = await measures.gather()
    assert Series(Metric.DATABASE_UP, (), 0.0) in found
    assert Series(Metric.DATABASE_UP, (), 1.0) in await measures.gather()


async def test_figures_that_cannot_be_published_at_first_are_published_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_snapshot, "EVERY_S", 0.0)
    original, left = psutil.Process.num_fds, [OSError("too many open files")] * 3

    def num_fds(process: psutil.Process) -> int:
        if left:
            raise left.pop()
        found: int = original(process)
        return found

    monkeypatch.setattr(psutil.Process, "num_fds", num_fds)
    with SharedMemory.made(1) as memory, capture_logs() as said:
        publishing = asyncio.create_task(publish(MetricsSnapshot(database), SharedMetrics(memory, 1)))
        await eventually(lambda: _is(memory.pid(1) == os.getpid()))
        publishing.cancel()
        await asyncio.wait([publishing])
        assert memory.published(1)
    assert [line["event"] for line in said] == ["figures_not_published"] * 3


@each_error
async def test_what_is_done_aside_fails_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    here, faults, said = await type(database).open(database.url, connections=2), Faults(monkeypatch), []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: said.append(about))
    faults.meet([ANY_OTHER], [error, error])
    with capture_logs():
        for _ in range(8):
            here._statistics.committed()
        await eventually(lambda: _is(not here._statistics._looking))
        here.unreadable.note(1, "devices", b"x", KeyError())
        writing = here.unreadable._writing
        assert writing is not None
        await asyncio.wait([writing])
        assert faults.met([ANY_OTHER]) is False
        del writing
        here.unreadable.close()
        here.unreadable._writing = None
        gc.collect()
    assert faults.left[ANY_OTHER] == []
    assert said == []
    await here.close()


async def test_who_looks_whether_the_database_answers_looks_again_whatever_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is let in while it does not answer: who looked no more would shut everybody out for ever."""
    monkeypatch.setattr(watchdog, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(watchdog, "_SUSPICIOUS_S", 0.0)
    answers = [TimeoutError(), TimeoutError(), RuntimeError("can't start new thread"), KeyError()]

    async def ask() -> None:
        if answers:
            raise answers.pop(0)

    async def leave() -> None:
        raise KeyError

    dog = Watchdog(ask, leave)
    with capture_logs() as said:
        with dog.watching():
            await eventually(lambda: _is(not answers))
        await eventually(lambda: _is(not dog._silent))
    dog.check()
    assert [line["event"] for line in said].count("database_not_looked_at") == 3


async def _is(answer: bool) -> bool:  # noqa: FBT001 - what was asked
    return answer
