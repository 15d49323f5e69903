"""How often a key may call."""

import asyncio
import json

import pytest

from pushkeeper import config
from pushkeeper.errors import Misconfigured


@pytest.mark.parametrize(
    ("method", "path", "key", "shape"),
    [
        ("PUT", "/api/v1/customers/42", "basic", "meta"),
        ("POST", "/api/v2/batch", "basic", "meta"),
        ("GET", "/v1/segments", "bearer", "errors"),
        ("POST", "/v1/b", "body", "code"),
    ],
)
async def test_a_key_that_calls_too_often_is_told_to_wait_in_its_apis_words(
    limited_door, method, path, key, shape
):
    door = limited_door
    headers = {} if key == "body" else {"authorization": getattr(door, key)}
    body = {"writeKey": door.keys.write_key, "batch": []} if path != "/api/v1/customers/42" else {}
    calls = [door.raw(method, path, json.dumps(body).encode(), **headers) for _ in range(30)]
    answers = await asyncio.gather(*calls)
    assert {status for status, _, _ in answers} == {200, 429}
    refused = [(text, got) for status, text, got in answers if status == 429]
    assert len(refused) > 10
    for text, got in refused:
        assert got["retry-after"] == "1"
        assert shape in json.loads(text)


@pytest.mark.parametrize("api", ["track", "cdp"])
async def test_a_batch_counts_by_its_items_and_those_that_come_next_wait_for_them(limited_door, api):
    door = limited_door
    person = {"type": "person", "action": "identify", "identifiers": {"id": "1"}}
    item = {"type": "identify", "userId": "1"}
    batches = {
        "track": ("/api/v2/batch", {"batch": [person] * 500}),
        "cdp": ("/v1/b", {"writeKey": door.keys.write_key, "batch": [item] * 500}),
    }
    path, body = batches[api]
    headers = {"authorization": door.basic} if api == "track" else {}
    status, text, _ = await door.raw("POST", path, json.dumps(body).encode(), **headers)
    assert (status, json.loads(text)) == (200, {})
    status, text, got = await door.raw("POST", path, json.dumps(body).encode(), **headers)
    assert status == 429
    assert 30 < int(got["retry-after"]) <= 51, "10 a second"
    assert (await door.raw("GET", "/v1/segments", authorization=door.bearer))[0] == 200


async def test_one_key_does_not_use_up_another_keys_calls(limited_door):
    door = limited_door
    while (await door.raw("GET", "/v1/segments", authorization=door.bearer))[0] == 200:
        pass
    assert (await door.track("PUT", "/api/v1/customers/42", {}))[0] == 200


async def call(door, method, path, body):
    """Status and headers of a call on a connection of its own; threads would wait for each other."""
    content = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {door.bearer}\r\nconnection: close\r\n"
    writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    lines = (await reader.read()).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    writer.close()
    return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:])


async def test_searches_that_wait_keep_no_other_call_waiting_and_too_many_are_refused(door, other_door):
    held, let_go = asyncio.Event(), asyncio.Event()

    async def lock(connection):
        await connection.execute("lock table people in access exclusive mode")
        held.set()
        await let_go.wait()

    locking = asyncio.create_task(door.database.owned.in_transaction(lock))
    await held.wait()
    wanted = {"filter": {"attribute": {"field": "city", "operator": "contains", "value": "x"}}}
    searches = [asyncio.create_task(call(door, "POST", "/v1/customers", wanted)) for _ in range(40)]
    refused = []
    for answer in asyncio.as_completed(searches):
        refused.append(await answer)
        if len(refused) == 40 - 22:
            break
    assert len(refused) == 18
    assert {(status, headers["retry-after"]) for status, headers in refused} == {(429, "5")}
    assert (await other_door.app("GET", "/api/v1/templates"))[0] == 200
    assert (await door.app("GET", "/api/v1/templates"))[0] == 200
    let_go.set()
    await locking
    statuses = [status for status, _ in await asyncio.gather(*searches)]
    assert sorted(set(statuses)) == [200, 429]
    assert statuses.count(200) == 22


def test_the_bound_is_a_setting():
    assert config.load({}, environ={"PUSHKEEPER_REQUESTS_PER_S": "50"}).requests_per_s == 50
    assert config.load({}, environ={"PUSHKEEPER_APNS_OUTAGE_WAIT_S": "60"}).apns_outage_wait_s == 60
    assert config.load({}, environ={}).requests_per_s == 3_000
    assert config.load({}, environ={"PUSHKEEPER_REQUESTS_PER_S": "none"}).requests_per_s is None
    for wrong in ("0", "many"):
        with pytest.raises(Misconfigured, match=r"(?i)requests_per_s"):
            config.load({}, environ={"PUSHKEEPER_REQUESTS_PER_S": wrong})
