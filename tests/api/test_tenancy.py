"""Every call of the APIs with another workspace's ids: nothing of it is told, nothing of it changes.

The calls are those of the route table, so that a route that is added is tried by itself.
"""

from __future__ import annotations

import itertools
import json
import secrets
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from pushkeeper.services.broadcasts.planner import Planning
from pushkeeper.worker.jobs.broadcasts import Planner
from pushkeeper.worker.jobs.runner import Jobs
from support.theirs import MARK, TOKEN, Theirs, calls, one_of_each

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def theirs(other_door, sender) -> Theirs:
    """B's; A may send, too."""
    await sender.database.rows(
        "insert into credentials (workspace_id, provider, kind, app, environment, facts, sealed) "
        "select $1, provider, kind, app, environment, facts, sealed from credentials where workspace_id = $2",
        other_door.workspace_id,
        sender.workspace_id,
    )
    await sender.database.rows(
        "insert into routes (workspace_id, credential_id) select workspace_id, credential_id from credentials "
        "where workspace_id = $1",
        other_door.workspace_id,
    )
    return await one_of_each(other_door)


async def test_no_call_with_a_workspaces_keys_reads_or_changes_another(
    routes, inside, sender, other_door, theirs
) -> None:
    await sender.track("PUT", "/api/v1/customers/ours", {"email": "ours@a.example"})
    before = await theirs.rows(other_door)
    statuses = [status async for status in _statuses(inside, sender, calls(routes, theirs))]
    assert await theirs.rows(other_door) == before
    assert len(statuses) > 2_000
    assert sum(status < 300 for status in statuses) > 100, (
        "A has things of its own that these calls are about"
    )


async def _statuses(inside, sender, all_calls) -> AsyncIterator[int]:
    """The statuses of all these calls with each of the sender's keys, none of which reveals the mark."""
    for method, path, body in all_calls:
        data = None if body is None else json.dumps({**body, "writeKey": sender.keys.write_key}).encode()
        for authorization in (sender.bearer, sender.basic, f"Bearer {sender.keys.write_key}"):
            seen = await inside.ask(method, path, data, {"authorization": authorization})
            assert MARK not in seen.text + str(seen.headers), (method, path, body, seen)
            assert seen.status < 500, (method, path, body, seen)
            yield seen.status


async def test_the_same_calls_with_its_own_keys_return_it(routes, other_door, theirs) -> None:
    """The mark is found where it may be, or the test above would find nothing either."""
    told = set()
    for method, path, _ in calls(routes, theirs):
        if method == "GET":
            _, answer, _ = await other_door.raw(method, path, None, authorization=other_door.bearer)
            if MARK in answer.decode():
                told.add(path)
    assert len(told) > 30


@pytest.mark.parametrize("authorization", [None, "basic", "write_key"])
async def test_ids_that_anybody_can_make_up_change_nothing(sender, other_door, theirs, authorization) -> None:
    """A knows B's message (every phone that got it does) and counts the people up."""
    real = other_door.database.delivery_ids.read(theirs["delivery"])
    assert real is not None
    assert (await other_door.app("POST", f"/api/v1/broadcasts/{theirs['broadcast']}/start"))[0] == 200
    await Jobs(other_door.database, Planner(Planning(other_door.database))).finish()
    broadcast = await other_door.database.value(
        "select message_id from broadcasts where workspace_id = $1 and broadcast_id = $2",
        other_door.workspace_id,
        int(theirs["broadcast"]),
    )
    before = await theirs.rows(other_door)
    headers = {} if authorization is None else {"authorization": getattr(sender, authorization, "")}
    for message, person in itertools.product(
        (real.message_id, broadcast), range(max(real.person_id - 3, 0), real.person_id + 4)
    ):
        unsigned = urlsafe_b64encode(message.bytes + person.to_bytes(8, "big")).decode()
        moved = sender.database.delivery_ids.text(sender.workspace_id, message, person)
        for delivery, token in itertools.product((unsigned, moved), (None, "another token")):
            report = {
                "delivery_id": delivery,
                "metric": "clicked",
                "event": "opened",
                "href": "https://evil.example",
            }
            report |= {} if token is None else {"recipient": token, "device_id": token}
            for path in ("/api/v1/metrics", "/api/v1/push/events", "/push/events"):
                assert (await sender.raw("POST", path, json.dumps(report).encode(), **headers))[0] == 200
            if (message, person) != (real.message_id, real.person_id):
                # Of a message to one person its id alone is known to nobody else.
                assert (await sender.raw("POST", f"/unsubscribe/{delivery}", b"{}", **headers))[0] == 200
    assert await theirs.rows(other_door) == before


async def test_an_id_of_release_0_1_counts_with_the_token_that_its_push_went_to(other_door, theirs) -> None:
    real = other_door.database.delivery_ids.read(theirs["delivery"])
    assert real is not None
    unsigned = urlsafe_b64encode(real.message_id.bytes + real.person_id.to_bytes(8, "big")).decode()
    for token, metric in ((None, "opened"), ("x" * 40, "opened"), (TOKEN, "delivered")):
        report = {"delivery_id": unsigned, "metric": metric, "recipient": token}
        assert (await other_door.raw("POST", "/api/v1/metrics", json.dumps(report).encode()))[0] == 200
    [told] = await other_door.database.rows(
        "select * from reports where workspace_id = $1", other_door.workspace_id
    )
    assert (told["metric"], told["person_id"]) == ("delivered", real.person_id)
    status, found = await other_door.app("GET", f"/v1/messages/{unsigned}")
    assert (status, found["message"]["id"]) == (200, theirs["delivery"])
    assert (await other_door.raw("POST", f"/unsubscribe/{unsigned}", b"{}"))[0] == 200
    assert await other_door.database.value(
        "select unsubscribed from people where workspace_id = $1 and person_id = $2",
        other_door.workspace_id,
        real.person_id,
    )


async def test_a_token_that_is_nobodys_here_names_no_device(other_door, theirs) -> None:
    """A caller with their own ID counts as one unknown device, however many tokens they invent."""
    for _ in range(5):
        report = {"delivery_id": theirs["delivery"], "metric": "opened", "recipient": secrets.token_hex(20)}
        await other_door.raw("POST", "/api/v1/metrics", json.dumps(report).encode())
    rows = await other_door.database.rows(
        "select device_id from reports where workspace_id = $1", other_door.workspace_id
    )
    assert [row["device_id"] for row in rows] == [b""]
