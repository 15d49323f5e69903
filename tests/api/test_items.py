"""What clients send a little wrong is taken as it is meant, and costs nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

_PERSON = {"type": "person", "action": "identify", "attributes": {"a": 1}}


async def _ids(door: Any) -> list[str]:
    rows = await door.database.rows(
        "select key from identifiers where workspace_id = $1 and kind = 'id' order by key", door.workspace_id
    )
    return [row["key"] for row in rows]


async def _names(door: Any) -> list[str]:
    rows = await door.database.rows(
        "select name from events where workspace_id = $1 order by event_id", door.workspace_id
    )
    return [row["name"] for row in rows]


async def _cdp(door: Any, *items: Any, **more: Any) -> tuple[int, Any]:
    body = json.dumps({"writeKey": door.keys.write_key, "batch": list(items), **more}).encode()
    status, answer, _ = await door.raw("POST", "/v1/b", body)
    return status, json.loads(answer)


@pytest.mark.parametrize("sent", [42, 42.0, "42"])
async def test_a_whole_number_is_the_same_id_however_it_is_written(sender: Any, sent: object) -> None:
    device = {"type": "ios", "token": "a" * 64}
    happened = {"type": "track", "event": "bought", "userId": sent, "anonymousId": sent}
    registered = {**happened, "event": "Device Created or Updated", "context": {"device": device}}
    assert await _cdp(sender, {"type": "identify", "userId": sent}, happened, registered) == (200, {})
    operation = {**_PERSON, "identifiers": {"id": sent}}
    assert (await sender.track("POST", "/api/v2/entity", operation))[0] == 200
    assert (await sender.track("PUT", "/api/v1/customers/a@example.com", {"id": sent}))[0] == 200
    merge = {"primary": {"id": sent}, "secondary": {"email": "a@example.com"}}
    assert (await sender.track("POST", "/api/v1/merge_customers", merge))[0] == 200
    push = {"identifiers": {"id": sent}, "title": "Hello", "message": "you"}
    assert (await sender.app("POST", "/v1/send/push", push))[0] == 200
    status, answer = await sender.app("POST", "/v1/customers/attributes", {"ids": [sent]})
    assert (status, len(answer["customers"])) == (200, 1)
    assert await _ids(sender) == ["42"]


@pytest.mark.parametrize("sent", [42.5, 2.0**53 + 2, True, 1e300])
async def test_a_number_that_is_no_id_is_refused_by_name(door: Any, sent: object) -> None:
    status, answer = await _cdp(door, {"type": "identify", "userId": sent})
    assert (status, answer["errors"][0]["field"]) == (200, "userId")
    status, answer = await door.track("POST", "/api/v2/entity", {**_PERSON, "identifiers": {"id": sent}})
    assert (status, answer["errors"][0]["field"]) == (400, "identifiers.id")
    assert await _ids(door) == []


async def test_a_null_identifier_is_none(sender: Any) -> None:
    ann = {"id": "ann", "email": None, "cio_id": None, "phone": None}
    assert (await sender.track("POST", "/api/v2/entity", {**_PERSON, "identifiers": ann}))[0] == 200
    push = {"identifiers": ann, "title": "Hello", "message": "you"}
    assert (await sender.app("POST", "/v1/send/push", push))[0] == 200
    merge = {"primary": ann, "secondary": {"id": None, "email": "b@example.com"}}
    assert (await sender.track("POST", "/api/v1/merge_customers", merge))[0] == 200
    nobody = {"id": None, "email": None}
    assert (await sender.track("POST", "/api/v2/entity", {**_PERSON, "identifiers": nobody}))[0] == 400
    assert await _ids(sender) == ["ann"]


async def test_names_of_events_are_trimmed(door: Any) -> None:
    long = " " * 50 + "n" * 100 + "\u00a0"
    for name in (" purchase ", long):
        path = "/api/v1/customers/ann/events"
        assert (await door.track("POST", path, {"name": name}))[0] == 200
        event = {"type": "person", "action": "event", "identifiers": {"id": "ann"}, "name": name}
        assert (await door.track("POST", "/api/v2/entity", event))[0] == 200
        item = {"type": "track", "event": name, "userId": "ann"}
        assert await _cdp(door, item, {**item, "type": "screen", "name": name}) == (200, {})
    device = {"device": {"type": "ios", "token": "a" * 64}}
    named = {"type": "track", "event": "Device Created or Updated\t", "userId": "ann", "context": device}
    assert await _cdp(door, named) == (200, {})
    assert await _names(door) == ["purchase"] * 4 + ["n" * 100] * 4
    assert len((await door.person("ann"))["devices"]) == 1
    assert (await door.track("POST", "/api/v1/customers/ann/events", {"name": " \t"}))[0] == 400
