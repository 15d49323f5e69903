"""A database that cannot answer now is 503 with a time to come back, on every route of the APIs, and never our fault."""

from __future__ import annotations

import asyncio
import http.client
import json
from base64 import b64encode
from urllib.parse import quote

import pytest
import pytest_asyncio

from pushkeeper.store.admin import keys
from support.outages import gone, locked, read_only
from support.theirs import calls, one_of_each, with_write_key

# What is answered without the database, whatever it is asked; and links and forms, which do not exist.
NEEDS_NONE = {
    "/api/docs",
    "/api/docs/errors",
    "/webpush/cio-webpush-sw.js",
    "/api/openapi.json",
    "/api/v1/accounts/region",
    "/api/v1/forms/{form}/submit",
    "/v1/info/ip_addresses",
    "/exports/{link}",
}


def reports(theirs):
    """What phones say of their pushes, and what comes in a batch: calls whose bodies the table doesn't have."""
    report = {
        "delivery_id": theirs["delivery"],
        "metric": "opened",
        "event": "opened",
        "timestamp": 1_700_000_000,
    }
    person = {"type": "person", "action": "identify", "identifiers": {"id": "somebody"}}
    yield from (("POST", path, report) for path in ("/api/v1/metrics", "/api/v1/push/events", "/push/events"))
    yield "POST", f"/unsubscribe/{quote(theirs['delivery'])}", {"unsubscribe": True}
    yield "POST", "/api/v2/batch", {"batch": [person, {**person, "identifiers": {"id": "another"}}]}


class Sweep:
    """Every call of the route table, and which routes were refused and which not, by method and template."""

    def __init__(self, door, track, app):
        """`track` and `app` are keys that nobody used yet: one that was good is remembered for a second, without the database."""
        self._door = door
        self._basic = "Basic " + b64encode(f"{track.key_id}:{track.secret}".encode()).decode()
        self._bearer = f"Bearer {app.secret}"
        self._connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=60)
        self.refused: set[tuple[str, str]] = set()
        self.answered: set[tuple[str, str]] = set()

    def make(self, routes, theirs):
        """All calls, with all ids and bodies until the route is refused, and those reports."""
        for route in routes:
            surface = getattr(route.endpoint, "style", None)
            key = self._basic if surface and surface.name.startswith("track") else self._bearer
            for method, path, body in calls([route], theirs):
                if (method, route.path) not in self.refused:
                    self.ask(method, path, body, route.path, key)
        self.report(theirs)

    def report(self, theirs):
        for method, path, body in reports(theirs):
            template = "/unsubscribe/{delivery_id}" if path.startswith("/unsubscribe/") else path
            self.ask(method, path, body, template, self._basic)

    def close(self):
        self._connection.close()

    def ask(self, method, path, body, template, key):
        data = None if body is None else json.dumps(with_write_key(path, body, self._door.keys.write_key))
        self._connection.request(method, path, data, {"authorization": key})
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status < 500 or answer.status == 503, (method, path, body, said)
        if answer.status == 503:
            assert 1 <= int(answer.headers["retry-after"]) <= 10, (method, path)
            assert method == "HEAD" or b"the database " in said.lower(), (method, path, said)
        (self.refused if answer.status == 503 else self.answered).add((method, template))


@pytest_asyncio.fixture
async def sweep(alone):
    of = alone.database, alone.workspace_id
    made = Sweep(alone, await keys.make(*of, "track"), await keys.make(*of, "app"))
    yield made
    made.close()


@pytest.mark.parametrize("outage", [locked, gone], ids=lambda outage: outage.__name__)
async def test_every_route_says_so_with_a_time_to_come_back(alone, database, routes, sweep, outage) -> None:
    theirs = await one_of_each(alone)
    async with outage(alone.database, database):
        await asyncio.to_thread(sweep.make, routes, theirs)
    left = {path for method, path in sweep.answered - sweep.refused if method != "OPTIONS"}
    assert left <= NEEDS_NONE
    assert len(sweep.refused) > 150


async def test_on_a_read_only_server_what_only_looks_is_answered(alone, database, sweep) -> None:
    theirs = await one_of_each(alone)
    async with read_only(alone.database, database):
        await asyncio.to_thread(sweep.report, theirs)
        assert (await alone.app("GET", f"/api/v1/devices/{theirs['token']}"))[0] == 200
        assert (await alone.app("GET", f"/v1/messages/{theirs['delivery']}"))[0] == 200
    assert sweep.answered == set()
    assert len(sweep.refused) == 5
