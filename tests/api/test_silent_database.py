"""A silent database: callers get an error within seconds, and no queue grows without end."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import Any

import pytest

from pushkeeper.services import api_keys
from support.outages import UNANSWERED, unsynced
from support.theirs import calls, one_of_each, with_write_key

from .test_not_now import NEEDS_NONE, reports

SAFETY_S = 60.0
BOUND_S = 15.0  # ten are promised, on a machine without other load
MOST_PER_ROUTE = 4
REFUSED = {429, 503}  # searches wait in a line of their own
# As the table of routes has them, without a parameter or a body, they need a key alone, which is remembered.
NEEDS_A_KEY = {
    "/v1/subscription_channels",
    "/api/v1/explain",
    "/v1/imports",
    "/unsubscribe/{delivery_id}",
    *(f"/v1/send/{channel}" for channel in ("email", "in_app", "inbox_message", "sms", "whatsapp")),
}

Call = tuple[str, str, Any]  # method, path and body


async def ask(door, call: Call, key):
    """Status and headers of one call on a connection of its own, and how long it took."""
    method, path, body = call
    data = b"" if body is None else json.dumps(with_write_key(path, body, door.keys.write_key)).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: {key}", "Connection: close"]
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write("\r\n".join([*lines, f"Content-Length: {len(data)}", "", ""]).encode() + data)
    async with asyncio.timeout(SAFETY_S):
        said = await reader.read()
    writer.close()
    head = said.partition(b"\r\n\r\n")[0].decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:])
    return int(head[0].split()[1]), headers, time.monotonic() - began


def key_of(door, route):
    surface = getattr(route.endpoint, "style", None)
    return door.basic if surface and surface.name.startswith("track") else door.bearer


async def ask_all(door, several):
    """All these calls at once; what came back, by method and template."""
    answers = await asyncio.gather(*(ask(door, call, key) for _, call, key in several))
    found = defaultdict(list)
    for (template, (method, _, _), _), answer in zip(several, answers, strict=True):
        found[method, template].append(answer)
    return found


@pytest.mark.parametrize("outage", UNANSWERED, ids=lambda outage: outage.__name__)
async def test_whatever_keeps_it_from_answering_everybody_is_told_in_time(
    alone, database, routes, monkeypatch, outage
) -> None:
    # The look-up of a key would be all that anybody waits for.
    monkeypatch.setattr(api_keys, "_REMEMBERED_S", 600.0)
    theirs = await one_of_each(alone)
    for path, body in (("/v1/identify", {"userId": "known"}), ("/api/v1/customers/known", {})):
        assert (await ask(alone, ("POST" if path[1] == "v" else "PUT", path, body), alone.basic))[0] == 200
    first: list[tuple[str, Call, str]] = []
    more: list[tuple[str, Call, str]] = []
    for route in routes:
        for n, call in enumerate(calls([route], theirs)):
            (first if n < MOST_PER_ROUTE else more).append((route.path, call, key_of(alone, route)))
    first += [(call[1], call, alone.basic) for call in reports(theirs)]
    async with outage(alone.database, database):
        found = await ask_all(alone, first)
        answers = [answer for several in found.values() for answer in several]
        assert len(answers) > 200
        # Whose first bodies were refused as they are has others, which come when it is known that nobody answers.
        refused = {of for of, several in found.items() if any(status in REFUSED for status, _, _ in several)}
        # While commits wait, reads are answered.
        others = [one for one in more if (one[1][0], one[0]) not in refused and outage is not unsynced]
        for of, several in (await ask_all(alone, others)).items():
            answers += several
            refused |= {of for status, _, _ in several if status in REFUSED}
        for status, headers, took_s in answers:
            assert status < 500 or status == 503
            if status in REFUSED:
                assert 1 <= int(headers["retry-after"]) <= 10
            assert took_s < BOUND_S
        if outage is not unsynced:
            left = {template for _, template in found} - {template for _, template in refused}
            assert left <= NEEDS_NONE | NEEDS_A_KEY
        assert sum(status == 503 for status, _, _ in answers) > 100
    async with asyncio.timeout(SAFETY_S):
        while (await ask(alone, ("GET", "/v1/segments", None), alone.bearer))[0] != 200:
            pass
    assert (await alone.track("PUT", "/api/v1/customers/afterwards", {"note": "kept"}))[0] == 200
    assert (await alone.person("afterwards"))["attributes"]["note"] == "kept"


CALLS: list[Call] = [("GET", "/v1/segments", None), ("PUT", "/api/v1/customers/somebody", {})]


@pytest.mark.parametrize("call", CALLS)
async def test_a_connection_that_others_keep_is_not_waited_for_without_end(alone, call) -> None:
    pool = alone.database._pool
    key = alone.bearer if call[0] == "GET" else alone.basic
    assert (await ask(alone, call, key))[0] == 200
    async with AsyncExitStack() as stack:
        for _ in range(pool.get_max_size()):
            await stack.enter_async_context(pool.acquire())
        answers = await asyncio.gather(*(ask(alone, call, key) for _ in range(50)))
    assert {status for status, _, _ in answers} == {503}
    assert all(1 <= int(headers["retry-after"]) <= 10 for _, headers, _ in answers)
    assert (await ask(alone, call, key))[0] == 200
