"""What more than one ring starts from: one embedded PostgreSQL for the session, and fresh workspaces in it."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import structlog

from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import migrate
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.embedded import EmbeddedPostgres
from support.postgres import server_of
from support.processes import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pushkeeper.store.admin.workspaces import NewKeys, Workspace
    from support.processes import Running

# By itself structlog paints each traceback with all that is in it, which takes longer than what is tested.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder with a short path, as a socket's path has to be."""
    with tempfile.TemporaryDirectory(prefix="pk-") as path:
        yield Path(path)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres",
        type=Path,
        metavar="FOLDER",
        help="the programs of another PostgreSQL than the wheel's, such as /usr/lib/postgresql/15/bin: of all tests "
        "those that use a database are run, on it",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("postgres") is None:
        return
    others = [item for item in items if "database_url" not in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in set(others)]


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
