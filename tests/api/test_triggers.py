"""Triggers that cannot be: refused as 422 with a pointer to the field, and nothing is written."""

from typing import Any

import pytest

from pushkeeper.services.broadcasts.planner import Planning
from pushkeeper.worker.jobs.broadcasts import Planner
from pushkeeper.worker.jobs.runner import Jobs

MANY = [f"p{n}" for n in range(10_001)]
BAD = [
    (b"not json", "/body"),
    (b"[]", "/body"),
    ({"data": []}, "/data"),
    ({"data": {"a": "x" * 50_000}}, "/data"),
    ({"ids": [], "data": None}, "/ids"),
    ({"ids": "ann"}, "/ids"),
    ({"ids": MANY}, "/ids"),
    ({"ids": [""]}, "/ids/0"),
    ({"ids": ["ann", {}]}, "/ids/1"),
    ({"emails": [7.5]}, "/emails/0"),
    ({"ids": ["ann"], "emails": ["a@x.io"]}, "/emails"),
    ({"ids": ["ann"], "email_ignore_missing": True}, "/email_ignore_missing"),
    ({"emails": ["a@x.io"], "id_ignore_missing": True}, "/id_ignore_missing"),
    ({"id_ignore_missing": True}, "/id_ignore_missing"),
    ({"ids": ["ann"], "id_ignore_missing": "yes"}, "/id_ignore_missing"),
    ({"recipients": {"nonsense": 1}}, "/recipients"),
    (
        {"recipients": {"and": [{"attribute": {"field": "a", "operator": "like"}}]}},
        "/recipients/and/0/attribute/operator",
    ),
    ({"per_user_data": [7]}, "/per_user_data/0"),
    ({"per_user_data": [{"data": {}}]}, "/per_user_data/0"),
    ({"per_user_data": [{"id": "ann", "email": "a@x.io"}]}, "/per_user_data/0"),
    ({"per_user_data": [{"id": "ann", "data": []}]}, "/per_user_data/0/data"),
    ({"per_user_data": [{"phone": "+41791234567"}]}, "/per_user_data/0/phone"),
    ({"recipients": []}, "/recipients"),
    ({"recipients": {}, "ids": []}, "/ids"),
    ({"data_file_url": "file:///etc/passwd"}, "/data_file_url"),
    ({"data_file_url": 7}, "/data_file_url"),
]


async def make(door: Any, **more: Any) -> int:
    status, answer = await door.app(
        "POST", "/api/v1/templates", {"kind": "broadcast", "name": "A", "title": "Hello", **more}
    )
    assert status == 201, answer
    number: int = answer["template"]["id"]
    return number


@pytest.mark.parametrize(("body", "pointer"), BAD)
async def test_a_bad_trigger_is_refused_by_its_field_and_nothing_is_written(sender, body, pointer):
    number = await make(sender)
    status, answer = await sender.app("POST", f"/v1/campaigns/{number}/triggers", body)
    assert status == 422, answer
    [error] = answer["errors"]
    assert (error["source"]["pointer"], error["status"]) == (pointer, "422")
    assert (await sender.counts())["messages"] == 0


@pytest.mark.parametrize(
    ("body", "audience"),
    [
        ({}, "own"),
        ({"recipients": {}}, "own"),
        ({"recipients": None}, "own"),
        ({"recipients": {}, "data": None}, "own"),
        ({"recipients": {"attribute": {"field": "b", "operator": "exists"}}}, "b"),
    ],
)
async def test_no_recipients_are_the_broadcasts_own(sender, body, audience):
    own = {"attribute": {"field": "own", "operator": "exists"}}
    number = await make(sender, audience=own)
    status, answer = await sender.app("POST", f"/v1/campaigns/{number}/triggers", body)
    assert status == 200, answer
    kept = await sender.database.value(
        "select audience from broadcasts where broadcast_id = $1", answer["id"]
    )
    assert kept["attribute"]["field"] == audience


async def test_an_empty_filter_beside_a_list_is_none(sender):
    number = await make(sender)
    await sender.track("PUT", "/api/v1/customers/ann", {})
    cio_id = (await sender.person("ann"))["identifiers"]["cio_id"]
    for named in ({"ids": ["ann"]}, {"per_user_data": [{"internal": f"cio_{cio_id}"}]}):
        body = {"recipients": {}, **named}
        assert (await sender.app("POST", f"/v1/campaigns/{number}/triggers", body))[0] == 200


async def test_what_is_not_there_or_cannot_be_sent_is_said(sender, other_door):
    for number in (await make(other_door), 0):
        status, answer = await sender.app("POST", f"/v1/campaigns/{number}/triggers", {})
        assert (status, answer["errors"][0]["status"]) == (404, "404")
    status, _ = await other_door.app("POST", f"/v1/campaigns/{await make(other_door)}/triggers", {})
    assert status == 403
    transactional = await make(sender, kind="transactional")
    assert (await sender.app("POST", f"/v1/campaigns/{transactional}/triggers", {}))[0] == 404
    assert (await sender.app("GET", f"/v1/campaigns/{await make(sender)}/triggers/1"))[0] == 404


async def test_five_may_wait_to_be_planned(sender):
    number = await make(sender)
    for _ in range(5):
        assert (await sender.app("POST", f"/v1/campaigns/{number}/triggers", {}))[0] == 200
    status, answer = await sender.app("POST", f"/v1/campaigns/{number}/triggers", {})
    assert status == 429, answer
    [listed] = (await sender.app("GET", "/v1/broadcasts"))[1]["broadcasts"]
    assert (listed["id"], listed["type"]) == (number, "triggered_broadcast")


async def test_a_trigger_may_be_larger_than_other_bodies(sender):
    number = await make(sender)
    named = [{"id": f"p{n}", "data": {"text": "x" * 200}} for n in range(9_000)]
    status, answer = await sender.app(
        "POST", f"/v1/campaigns/{number}/triggers", {"per_user_data": named, "id_ignore_missing": True}
    )
    assert status == 200, answer


async def test_a_broadcast_that_cannot_be_planned_keeps_nobody_elses_waiting(sender: Any) -> None:
    device = {"device": {"id": "p" * 64, "platform": "ios"}}
    assert (await sender.track("PUT", "/api/v1/customers/ann/devices", device))[0] == 200
    template = await make(sender)
    first, second = [
        (await sender.app("POST", f"/v1/campaigns/{template}/triggers", {}))[1]["id"] for _ in range(2)
    ]
    # A downgrade can leave a filter that this release cannot read.
    spoil = 'update broadcasts set audience = \'{"moon": "full"}\' where broadcast_id = $1'
    await sender.database.rows(spoil, first)
    planning = Jobs(sender.database, Planner(Planning(sender.database)))
    await planning.finish()
    state = "select state from broadcasts where broadcast_id = $1"
    assert await sender.database.value(state, second) == "planned"
    assert await sender.database.value(state, first) == "scheduled"
    again = "update broadcasts set next_attempt_at = now() where broadcast_id = $1"
    for _ in range(9):
        await sender.database.rows(again, first)
        await planning.finish()
    assert await sender.database.value(state, first) == "failed"
