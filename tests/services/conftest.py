"""One engine for this ring: workspaces are new to each test, the worker and the push services are shared."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from pushkeeper.simulator import Simulator
from support.endpoint import Endpoint
from support.engine import Engine, Tenant, engine
from support.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pushkeeper.store.db.database import Database


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(database: Database) -> AsyncIterator[Engine]:
    await database.rows("delete from batches")
    with tempfile.TemporaryDirectory(prefix="pk-") as folder:
        async with (
            Simulator(Path(folder) / "sim") as simulator,
            engine(database, simulator, Path(folder)) as found,
        ):
            yield found


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(running: Engine) -> Tenant:
    """A workspace that may send by FCM and by APNs."""
    made = await running.tenant()
    await made.add_fcm()
    await made.add_apns()
    return made


@pytest_asyncio.fixture(loop_scope="session")
async def bare(running: Engine) -> Tenant:
    """A workspace without credentials."""
    return await running.tenant()


@pytest_asyncio.fixture(loop_scope="session")
async def endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint() as found:
        yield found


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nobody listens, and nobody else will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tenant: Tenant) -> Stage:
    """Four phones of three people."""
    made = Stage(tenant)
    await made.fill()
    return made
