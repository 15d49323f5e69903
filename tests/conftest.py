"""What more than one ring starts from: one embedded PostgreSQL for the session, and fresh workspaces in it."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import pytest_asyncio
import structlog
import uvloop

from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import migrate
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.embedded import EmbeddedPostgres
from support.postgres import server_of
from support.processes import running
from support.schedule import Schedule, processes, rank
from support.scratch import PLACE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from pushkeeper.store.admin.workspaces import NewKeys, Workspace
    from support.processes import Running

# Examples of a property: new ones at each run of `dev`, the same ones at each run of `ci`, which CI=true chooses, and ten
# times as many by `--hypothesis-profile nightly`. A test that asks for a number of its own takes it from support/examples.py.
# How long examples take to draw says how busy the machine is, and nothing of the test.
_PATIENT = hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None)
hypothesis.settings.register_profile("dev", _PATIENT, max_examples=25)
hypothesis.settings.register_profile(
    "ci", _PATIENT, max_examples=100, database=None, derandomize=True, print_blob=True
)
hypothesis.settings.register_profile("nightly", _PATIENT, max_examples=1_000)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")

# The loop that the service runs on, with which tests take an eighth less of the processor.
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

# By itself structlog paints each traceback with all that is in it, which takes longer than what is tested.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# Ten thousand tests are collected in a quarter of the time without the garbage collector, which looks at all of them again
# and again; none of them is garbage before the end.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave what was collected out of every later collection."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder with a short path, as a socket's path has to be."""
    with tempfile.TemporaryDirectory(prefix="pk-", dir=PLACE) as path:
        yield Path(path)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres",
        type=Path,
        metavar="FOLDER",
        help="the programs of another PostgreSQL than the wheel's, such as /usr/lib/postgresql/15/bin: of all tests "
        "those that use a database are run, on it",
    )
    parser.addoption(
        "--pure", action="store_true", help="of all tests those that use no database and no simulator"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    # What is pure waits for nobody: xdist's own number, of processors.
    return None if config.getoption("pure") else processes()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Schedule | None:
    return Schedule(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.nodeid))
    if config.getoption("postgres") is not None:
        _select(config, items, lambda fixtures: "database_url" in fixtures)
    if config.getoption("pure"):
        _select(config, items, lambda fixtures: fixtures.isdisjoint({"database_url", "simulator"}))


def _select(config: pytest.Config, items: list[pytest.Item], wanted: Callable[[set[str]], bool]) -> None:
    """Leave those alone that use such fixtures."""
    chosen = {item: wanted(set(getattr(item, "fixturenames", ()))) for item in items}
    config.hook.pytest_deselected(items=[item for item in items if not chosen[item]])
    items[:] = [item for item in items if chosen[item]]


@pytest.fixture(scope="session")
def database_url(folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an embedded PostgreSQL, or of one whose programs are named."""
    programs: Path | None = request.config.getoption("postgres")
    if programs is not None:
        with server_of(programs) as url:
            yield url
        return
    server = EmbeddedPostgres(folder / "database")
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def simulator(folder: Path) -> Iterator[Running]:
    """The push services, as a process of their own."""
    with running("simulate", "--data", folder / "simulator") as started:
        yield started


@pytest_asyncio.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database."""
    opened = await Database.open(database_url)
    await migrate.migrate(opened)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def workspace(database: Database) -> tuple[Workspace, NewKeys]:
    """A workspace in which there is nothing yet, and its keys."""
    return await workspaces.create(database, secrets.token_hex(8))
