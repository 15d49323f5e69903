"""Many devices, and what a database says of them, past the APIs: a crash test needs both while those are dead."""

import asyncio
import http.client
import json
import threading
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Content, Platform, Token
from pushkeeper.services.broadcasts.planner import Planning
from pushkeeper.services.broadcasts.triggered import Triggers
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db.database import Database
from pushkeeper.store.devices import devices, registration
from pushkeeper.store.people import people, resolution
from pushkeeper.worker.jobs.broadcasts import Planner
from pushkeeper.worker.jobs.runner import Jobs
from support.engine import eventually

PAGE = 1_000


def query(url, sql, *args):
    """The rows of one query, over a connection of its own."""

    async def work():
        connection = await asyncpg.connect(url, timeout=60)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *args)]
        finally:
            await connection.close()

    return asyncio.run(work())


def load(url, workspace_name, tokens, *, platform=Platform.IOS, of="p"):
    """Register a device for each token, of p0, p1, … in their order, and return the workspace's id."""

    async def work(database):
        workspace = (await workspaces.by_name(database, workspace_name)).workspace_id
        for start in range(0, len(tokens), PAGE):
            page = tokens[start : start + PAGE]

            async def register(connection, page=page, start=start):
                namings = [
                    people.PersonReference(
                        workspace_id=workspace, path=Identifier(IdentifierKind.ID, f"{of}{start + number}")
                    )
                    for number in range(len(page))
                ]
                found = await resolution.resolve(connection, namings, database.hashes)
                now = datetime.now(UTC)
                registrations = [
                    devices.Registration(token=Token(token), platform=platform, last_used=now)
                    for token in page
                ]
                known = [person for person in found if person is not None]
                told = zip([workspace] * len(page), known, registrations, strict=True)
                await registration.register(connection, list(told))

            await database.in_transaction(register)
        return workspace

    return _on(url, work)


def broadcast(url, workspace, title):
    """Queue a broadcast to all devices, and return its message's id."""

    async def work(database):
        number = await Triggers(database, {}).send_to_all(
            workspace, Content(title=title), send_to_unsubscribed=True
        )
        await Jobs(database, Planner(Planning(database))).finish()
        # It is made when the broadcast begins, which a worker may have taken up first.
        return await eventually(
            lambda: database.value(
                "select message_id from broadcasts where workspace_id = $1 and broadcast_id = $2",
                workspace,
                number,
            )
        )

    return _on(url, work)


def _on(url, work):
    async def opened():
        database = await Database.open(url, connections=2)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(opened())


class Sender:
    """A client that pushes to one person after another, and writes down what was acknowledged.

    `pause` follows every request: a client that keeps a pace; `refused` are the statuses other than 2xx, each with its
    Retry-After.
    """

    def __init__(self, workspace, people):
        self.workspace = workspace
        self.acknowledged = []
        self.refused = []
        self.cut_off = 0
        self._people = people
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _run(self):
        number = 0
        while not self._ended.wait(0.02):  # its pace
            number += 1
            try:
                self._push(self._people[number % len(self._people)])
            except (OSError, http.client.HTTPException):
                self.cut_off += 1

    def _push(self, person):
        door = self.workspace.app
        connection = http.client.HTTPConnection(urlsplit(f"http://{door.parts.netloc}").netloc, timeout=60)
        try:
            body = {"identifiers": {"id": person}, "title": "One", "message": "for you"}
            connection.request("POST", "/v1/send/push", json.dumps(body), door.headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status == 200:
                self.acknowledged.append(answer["delivery_id"])
            else:
                self.refused.append((response.status, response.getheader("Retry-After")))
        finally:
            connection.close()
