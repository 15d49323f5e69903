"""What an admin or an App key can have called reaches nothing that is private: by webhooks, and by files of broadcasts."""

from __future__ import annotations

import asyncio
import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from pushkeeper.config import Settings
from pushkeeper.core.destination import Destinations
from pushkeeper.worker.http_client import CANNOT_CALL
from pushkeeper.worker.jobs import recipient_files as worker_files
from pushkeeper.worker.jobs.runner import Jobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.dashboard import Browser, Place

HOSTS = (
    *(
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
    ),
    *("127.0.0.2", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]"),
    *("[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[::1%25lo]", "[fe80::1%25lo]", "127.0.0.1.", "localhost."),
    "localhost.localdomain",
)


class Listener:
    """Listens on every address of this machine; nothing that we call may ever come here."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.port = 0

    async def start(self) -> list[asyncio.Server]:
        four = await asyncio.start_server(self._note, "0.0.0.0", 0)
        self.port = four.sockets[0].getsockname()[1]
        return [four, await asyncio.start_server(self._note, "::", self.port)]

    async def _note(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reached.append(writer.get_extra_info("sockname")[0])
        writer.close()


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[Listener]:
    found = Listener()
    servers = await found.start()
    yield found
    for server in servers:
        server.close()


async def app_call(place: Place, method: str, path: str, body: object) -> tuple[int, Any]:
    def exchange() -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", place.site.port, timeout=60)
        try:
            headers = {
                "authorization": f"Bearer {place.keys.app_api_key}",
                "content-type": "application/json",
            }
            connection.request(method, path, json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    return await asyncio.to_thread(exchange)


async def test_a_webhook_reaches_nothing_private(admin: Browser, place: Place, listener: Listener) -> None:
    refused_at_the_door = set()
    for host in HOSTS:
        endpoint = f"http://{host}:{listener.port}/"
        body = {"name": host, "endpoint": endpoint, "events": ["push_sent"]}
        status, made = await app_call(place, "POST", "/v1/reporting_webhooks", body)
        if status == 400:
            refused_at_the_door.add(host)
            continue
        assert (await admin.post(place.path(f"/webhooks/{made['id']}/ping"))).status == 303
        status, said = await app_call(place, "GET", f"/api/v1/webhooks/{made['id']}/calls", None)
        [call] = said["calls"]
        assert (call["status"], call["failure"], call["took_ms"]) == (None, CANNOT_CALL, 0), host
    assert listener.reached == []
    assert len(refused_at_the_door) < 5


@pytest_asyncio.fixture
async def files(place: Place) -> Files:
    await place.credential()
    body = {"kind": "broadcast", "name": "A", "title": "Hello"}
    status, made = await app_call(place, "POST", "/api/v1/templates", body)
    assert status == 201
    return Files(place, f"/v1/campaigns/{made['template']['id']}/triggers")


@dataclass
class Files:
    """Broadcasts of one template whose recipients are in a file elsewhere."""

    place: Place
    path: str

    async def told(self, url: str, destinations: Destinations) -> str | None:
        """Why the file at an address was not read; None where the address is refused at once."""
        status, said = await app_call(self.place, "POST", self.path, {"data_file_url": url})
        if status == 422:
            return None
        assert status == 200, said
        database = self.place.site.database
        reading = Jobs(database, worker_files.Files(database, destinations=destinations))
        await reading.finish()
        await reading.aclose()
        _, found = await app_call(self.place, "GET", f"{self.path}/{said['id']}/errors", None)
        await app_call(self.place, "POST", f"/api/v1/broadcasts/{said['id']}/cancel", None)
        detail: str = found["errors"][0]["detail"]
        return detail.removeprefix("data_file_url: ")


async def test_a_file_of_a_broadcast_is_not_read_from_a_private_address(
    files: Files, listener: Listener
) -> None:
    usual = Settings(data_dir=Path()).destinations
    told = [await files.told(f"http://{host}:{listener.port}/", usual) for host in HOSTS]
    assert listener.reached == []
    assert set(told) <= {CANNOT_CALL, None}
    assert told.count(CANNOT_CALL) > 17


async def test_a_redirect_to_a_private_address_is_not_followed(files: Files, listener: Listener) -> None:
    """An allowed endpoint redirects to a forbidden address."""

    async def lead_on(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        location = f"http://127.0.0.1:{listener.port}/"
        writer.write(f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    leads = await asyncio.start_server(lead_on, "127.0.0.2", 0)
    url = f"http://127.0.0.2:{leads.sockets[0].getsockname()[1]}/"
    assert await files.told(url, Destinations.of(["127.0.0.2"])) == CANNOT_CALL
    assert listener.reached == []
    assert await files.told(url, Destinations.of(["127.0.0.0/8"])) != CANNOT_CALL
    assert listener.reached == ["127.0.0.1"]
    leads.close()
