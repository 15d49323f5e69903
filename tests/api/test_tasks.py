"""No task that `serve` starts is lost by an error of the database: each meets all of them, and does its work afterwards."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from pushkeeper.dashboard.ui.live import LiveStreams
from pushkeeper.dashboard.ui.undo_jobs import UndoJobs
from pushkeeper.errors import Unreachable
from pushkeeper.services import api_keys, readiness
from pushkeeper.services.strikes import StrikeSelector
from pushkeeper.store.db import listening, replica, watchdog
from support.actors import BY
from support.dashboard import served
from support.databases import own_database
from support.engine import eventually
from support.faults import BUGS, NOT_NOW, UNEXPECTED, Faults
from support.inside import Inside, app_of
from support.started import started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from support.dashboard import Place, Seen

EVERY_ERROR = {**NOT_NOW, **UNEXPECTED, **BUGS}
# What these start asks nothing of the database in a task of its own; a worker's tasks have a test of their own.
ASKS_NOTHING = {
    "cli/children.py",
    "cli/server.py",
    "cli/starting.py",
    "cli/supervisor.py",
    "web/request.py",
    "rendering/renderer.py",
    "store/db/connections.py",
    "store/db/streams.py",  # the rows of a cursor, whose errors are raised to their reader
    "web/protocol.py",
    "web/server.py",
}
OF_WORKERS = ("worker/", "providers/")
NUMBERS = count()


@dataclass(frozen=True)
class Service:
    """The APIs and the dashboard in this event loop."""

    place: Place
    inside: Inside
    undoing: UndoJobs

    @property
    def _basic(self) -> str:
        keys = self.place.keys
        return "Basic " + b64encode(f"{keys.site_id}:{keys.api_key}".encode()).decode()

    @property
    def database(self) -> Any:
        return self.place.site.database

    async def call(self, method: str, path: str, key: str, body: bytes = b"{}") -> Seen:
        """A call that succeeds, or whose error says what is at fault."""
        seen = await self.inside.ask(method, path, body, {"authorization": key})
        assert seen.status in {200, 500, 503}, seen.text
        assert seen.status != 503 or 1 <= int(seen.headers["retry-after"]) <= 10
        return seen

    async def list_segments(self) -> Seen:
        return await self.call("GET", "/v1/segments", f"Bearer {self.place.keys.app_api_key}")

    async def identify(self) -> Seen:
        return await self.call("PUT", "/api/v1/customers/somebody", self._basic)

    async def get_ready(self) -> Seen:
        return await self.call("GET", "/readyz", "")

    async def commit(self) -> None:
        """After so many transactions sizes are looked at."""
        for _ in range(8):
            self.database._statistics.committed()
        await asyncio.gather(*self.database._statistics._looking)
        self.database._statistics._commits = 0

    async def note_unreadable(self) -> None:
        self.database.unreadable.note(self.place.workspace.workspace_id, "devices", next(NUMBERS), KeyError())
        await asyncio.wait([self.database.unreadable._writing])

    async def read(self) -> None:
        """From a replica that is none, so that its return is looked for."""
        await self.database.reading(self.place.workspace.workspace_id).value("select 1")

    async def take_long(self) -> None:
        await self.database.value("select pg_sleep(0.05)")

    async def listen(self) -> None:
        with suppress(TimeoutError):
            async with self.database.listening([]) as lost, asyncio.timeout(0.05):
                await lost.wait()

    async def watch(self) -> None:
        async def ask() -> object:
            return await self.database.value("select 1")

        await LiveStreams(asyncio.Event()).shared("key", ask)

    async def undo(self) -> None:
        ledger = self.place.site.store.services.strikes
        now = datetime.now(UTC)
        meant = StrikeSelector(since=now - timedelta(hours=1), until=now)
        workspace = self.place.workspace.workspace_id
        await self.undoing.go_on(workspace, await ledger.begin(BY, workspace, meant, why="a test"))


# By who starts it and what it runs: what has it run.
TASKS: dict[tuple[str, str], Callable[[Service], Awaitable[object]]] = {
    ("services/api_keys.py", "look"): Service.list_segments,
    ("dashboard/ui/live.py", "ask"): Service.watch,
    ("dashboard/ui/undo_jobs.py", "go_on"): Service.undo,
    ("services/metrics_snapshot.py", "_answered"): Service.get_ready,
    ("store/db/group_commit.py", "_run"): Service.identify,
    ("store/db/listening.py", "_beat"): Service.listen,
    ("store/db/replica.py", "_return"): Service.read,
    ("store/db/statistics.py", "_look_again"): Service.commit,
    ("store/db/unreadable.py", "_write"): Service.note_unreadable,
    ("store/db/watchdog.py", "_look"): Service.take_long,
}


def test_each_task_that_is_started_is_among_them() -> None:
    asking = {
        task for task in started() if task[0] not in ASKS_NOTHING and not task[0].startswith(OF_WORKERS)
    }
    assert asking == set(TASKS)


@pytest_asyncio.fixture(scope="module")
async def service(database, tmp_path_factory) -> AsyncIterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readiness, "FRESH_FOR_S", 0.0)
        patch.setattr(api_keys, "_REMEMBERED_S", 0.0)
        patch.setattr(listening, "BEAT_S", 0.0)
        patch.setattr(replica, "_RETRY_S", 0.0)
        async with own_database(database) as own:
            await own.add_replica(own.url, max_lag_s=1.0)
            async with served(own, tmp_path_factory.mktemp("service")) as site:
                place = await site.workspace()
                inside = Inside.of(site, app_of(site), None)
                yield Service(place, inside, UndoJobs(site.store.services.strikes))


@pytest.mark.parametrize("task", TASKS, ids="-".join)
async def test_it_meets_every_error_and_does_its_work_afterwards(
    service: Service, monkeypatch: pytest.MonkeyPatch, task: tuple[str, str]
) -> None:
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: said.append(about))
    if task[0] == "store/db/watchdog.py":
        monkeypatch.setattr(watchdog, "_LOOK_EVERY_S", 0.0)
        monkeypatch.setattr(watchdog, "_SUSPICIOUS_S", 0.0)
    faults, name = Faults(monkeypatch), task[1]
    faults.meet([name], EVERY_ERROR.values())

    async def met() -> bool:
        # Waiting callers get the error.
        with suppress(Exception):
            await TASKS[task](service)
        met: bool = faults.met([name])
        return met

    # By itself structlog paints each traceback with all that is in it, which takes longer than all else.
    with capture_logs():
        await eventually(met)
        faults.left.clear()
        await eventually(lambda: _works(service, task))
    # The driver repairs a connection whose `rollback` was rejected, and says so.
    assert [about for about in said if "active transaction" not in about["message"]] == []


async def _works(service: Service, task: tuple[str, str]) -> bool:
    answers = [await ask() for ask in (service.get_ready, service.list_segments, service.identify)]
    try:
        await TASKS[task](service)
    except Unreachable:
        return False
    return [seen.status for seen in answers] == [200, 200, 200]
