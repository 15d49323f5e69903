"""When it is not the caller's fault: each API says so in its shape, and says nothing of our insides."""

import asyncio
import json

from support.engine import eventually

CALLS = (
    ("PUT", "/api/v1/customers/42", "basic", ("meta", "error")),
    ("GET", "/v1/customers/42/attributes", "bearer", ("errors", 0, "detail")),
    ("POST", "/v1/send/push", "bearer", ("meta", "error")),
    ("GET", "/api/v1/stats/devices", "bearer", ("error", "message")),
)
BODY = b'{"identifiers": {"id": "42"}, "title": "x"}'


def at(answer, path):
    for step in path:
        answer = answer[step]
    return answer


async def test_a_database_that_is_gone_is_503_with_a_time_to_come_back(lonely):
    door, postgres = lonely
    for method, path, key, _ in CALLS:
        await door.raw(method, path, BODY, authorization=getattr(door, key))
    await asyncio.to_thread(postgres.stop)
    for method, path, key, where in CALLS:
        status, body, headers = await door.raw(method, path, BODY, authorization=getattr(door, key))
        assert status == 503, (path, body)
        assert "does not answer" in at(json.loads(body), where)
        assert int(headers["retry-after"]) > 0
    assert (await door.raw("GET", "/healthz"))[0] == 200
    status, body, _ = await door.raw("GET", "/readyz")
    assert (status, json.loads(body)["status"]) == (503, "unavailable")


async def test_a_fault_of_ours_is_500_and_tells_nothing_of_it(lonely):
    door, _ = lonely
    for method, path, key, _ in CALLS:
        await door.raw(method, path, BODY, authorization=getattr(door, key))
    for table in ("identifiers", "devices", "messages", "credentials"):
        await door.database.owned.value(f"drop table {table} cascade")
    for method, path, key, where in CALLS:
        status, body, headers = await door.raw(method, path, BODY, authorization=getattr(door, key))
        assert (status, at(json.loads(body), where)) == (
            500,
            "Internal error." if where == ("error", "message") else "internal error",
        ), path
        assert headers["x-request-id"]


async def test_a_database_whose_migrations_are_behind_is_not_ready_and_says_which(lonely):
    door, _ = lonely
    assert (await door.raw("GET", "/readyz"))[0] == 200
    await door.database.value("delete from migrations where number in (1, 3)")
    await not_ready(door, "0001 the main job, 0003 customerio; run `pushkeeper migrate`")
    await door.database.owned.value("drop table migrations")
    await not_ready(door, "0002 lanes")


async def not_ready(door, words):
    """The readiness says no with these words, once what it knew is a second old."""

    async def ask():
        status, body, _ = await door.raw("GET", "/readyz")
        said = json.loads(body)
        return (status, said["status"]) == (503, "unavailable") and words in said["reason"]

    await eventually(ask)
