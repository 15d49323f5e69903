"""All APIs on a real socket, with the real services on the real database."""

import asyncio
import json
import secrets
import tempfile
from base64 import b64encode
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from pushkeeper import wiring
from pushkeeper.config import Settings
from pushkeeper.core.model import Environment, Provider, Secret
from pushkeeper.store.admin import credentials, workspaces
from pushkeeper.store.admin.credentials import NewCredential
from pushkeeper.store.admin.vault import Vault
from pushkeeper.store.db import migrate
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.embedded import EmbeddedPostgres
from pushkeeper.web.limits import Limits
from pushkeeper.web.router import PathRouter
from support.databases import own_database
from support.inside import Inside
from support.scratch import PLACE
from support.serving import bound, exchange, serving

SEAL = Secret(bytes(32))
TABLES = ("people", "identifiers", "devices", "device_history", "messages", "batches")


class Door:
    """Calls to the server as one workspace."""

    def __init__(self, port, workspace_id, keys, database):
        self.port = port
        self.workspace_id = workspace_id
        self.keys = keys
        self.database = database
        self.basic = "Basic " + b64encode(f"{keys.site_id}:{keys.api_key}".encode()).decode()
        self.bearer = f"Bearer {keys.app_api_key}"

    def exchange(self, method, path, body, headers):
        status, answer, said = exchange(self.port, method, path, body, headers)
        return status, answer, dict(said)

    async def raw(self, method, path, body=None, **headers):
        """Status, bytes and headers of one call."""
        return await asyncio.to_thread(self.exchange, method, path, body, headers)

    async def _json(self, method, path, body, authorization):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        status, answer, _ = await self.raw(method, path, data, authorization=authorization)
        return status, json.loads(answer)

    async def track(self, method, path, body=None):
        return await self._json(method, path, body, self.basic)

    async def app(self, method, path, body=None):
        return await self._json(method, path, body, self.bearer)

    async def person(self, identifier, id_type="id"):
        status, answer = await self.app("GET", f"/v1/customers/{identifier}/attributes?id_type={id_type}")
        assert status == 200, answer
        return answer["customer"]

    async def counts(self):
        """How many rows of each table this workspace has."""
        return {
            table: await self.database.value(
                f"select count(*) from {table} where workspace_id = $1", self.workspace_id
            )
            for table in TABLES
        }


def _app(store, requests_per_s=None):
    settings = Settings(
        data_dir=Path(), dashboard=False, outbound_addresses=("192.0.2.7",), requests_per_s=requests_per_s
    )
    return wiring.api(store, "http://push.example.com", settings)


def _store(database):
    return wiring.Store(database, Vault(SEAL), None, ())


@asynccontextmanager
async def _served(database, requests_per_s=None, limits=None):
    store = _store(database)
    listener, port = bound()
    async with aclosing(store.renderer), serving(_app(store, requests_per_s), listener, limits=limits):
        yield port


@pytest.fixture(scope="session")
def routes(database):
    """The routes of all APIs."""
    doors = _app(_store(database))
    assert isinstance(doors, PathRouter)
    return doors.routes


@pytest_asyncio.fixture
async def inside(database):
    """The APIs without a socket."""
    return Inside(0, {}, app=_app(_store(database)))


@pytest_asyncio.fixture(scope="session")
async def port(database):
    async with _served(database) as listening_at:
        yield listening_at


@pytest.fixture(scope="session")
def door_to():
    """Doors to a workspace of any database, on a server of their own."""

    @asynccontextmanager
    async def opened(database, workspace_id, keys):
        async with _served(database) as listening_at:
            yield Door(listening_at, workspace_id, keys, database)

    return opened


@pytest_asyncio.fixture
async def limited_door(workspace, database):
    """A door to a server that lets a key make ten calls a second."""
    made, keys = workspace
    async with _served(database, requests_per_s=10) as listening_at:
        yield Door(listening_at, made.workspace_id, keys, database)


@pytest_asyncio.fixture
async def narrow_door(workspace, database):
    """A door to a server with little memory for bodies."""
    made, keys = workspace
    async with _served(database, limits=Limits(held_bytes=300_000)) as listening_at:
        yield Door(listening_at, made.workspace_id, keys, database)


@pytest_asyncio.fixture
async def lonely():
    """A server with a database of its own, which a test may take away from it, and a door to it."""
    with tempfile.TemporaryDirectory(prefix="pk-", dir=PLACE) as folder:
        postgres = EmbeddedPostgres(Path(folder))
        database = await Database.open(await asyncio.to_thread(postgres.start), connections=2)
        try:
            await migrate.migrate(database)
            made, keys = await workspaces.create(database, "lonely")
            async with _served(database) as port:
                yield Door(port, made.workspace_id, keys, database), postgres
        finally:
            await database.close()
            await asyncio.to_thread(postgres.stop)


@pytest_asyncio.fixture
async def alone(database):
    """A door to a server with a database of its own, on the server that others use too."""
    async with own_database(database) as own, _served(own) as listening_at:
        made, keys = await workspaces.create(own, "alone")
        door = Door(listening_at, made.workspace_id, keys, own)
        await may_send(door)
        yield door


@pytest_asyncio.fixture
async def door(port, workspace, database):
    made, keys = workspace
    return Door(port, made.workspace_id, keys, database)


@pytest.fixture
def new_door(port, database):
    """Makes doors to other workspaces on the same server."""

    async def make():
        made, keys = await workspaces.create(database, secrets.token_hex(8))
        return Door(port, made.workspace_id, keys, database)

    return make


@pytest_asyncio.fixture
async def other_door(new_door):
    """A door to another workspace on the same server."""
    return await new_door()


@pytest_asyncio.fixture
async def sender(door):
    """A door to a workspace that may send."""
    await may_send(door)
    return door


async def may_send(door):
    """Give the door's workspace credentials."""
    new = NewCredential(
        provider=Provider.FCM,
        kind="service_account",
        app="project",
        environment=Environment.PRODUCTION,
        facts={},
        secret=Secret(b"{}"),
    )
    await credentials.put(door.database, Vault(SEAL), door.workspace_id, new)
