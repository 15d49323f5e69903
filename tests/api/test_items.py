"""What clients send a little wrong is taken as it is meant, and costs nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from pushkeeper.api.customerio.dropped_parts import DroppedParts
from pushkeeper.core.model import WorkspaceId
from pushkeeper.errors import TooLarge
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric

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


@pytest.mark.parametrize("none", [None, "", " "])
async def test_a_null_or_empty_identifier_beside_another_is_absent(sender: Any, none: object) -> None:
    ann = {"id": "ann", "email": none, "cio_id": none, "phone": none}
    assert (await sender.track("POST", "/api/v2/entity", {**_PERSON, "identifiers": ann}))[0] == 200
    push = {"identifiers": ann, "title": "Hello", "message": "you"}
    assert (await sender.app("POST", "/v1/send/push", push))[0] == 200
    merge = {"primary": ann, "secondary": {"id": none, "email": "b@example.com"}}
    assert (await sender.track("POST", "/api/v1/merge_customers", merge))[0] == 200
    seen = {
        "type": "person",
        "action": "event",
        "name": "seen",
        "identifiers": {"id": none, "anonymous_id": "a"},
    }
    assert (await sender.track("POST", "/api/v2/entity", seen))[0] == 200
    nobody = {"id": none, "email": none}
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


# Attributes that cannot be kept: they cost neither a person nor a phone.

_TOKEN = "b" * 64
_BAD_ATTRIBUTES: list[tuple[dict[str, Any], str]] = [
    ({"flags": "x" * 1001}, "flags"),
    ({"flags": ["x" * 1001]}, "flags"),
    ({"flags": "x" * 40_000}, "flags"),
    ({"flags": 2**63}, "flags"),
    ({"flags": 10**400}, "flags"),
    ({"flags": {"deep": 10**400}}, "flags.deep"),
    ({"flags": json.loads("[" * 101 + "]" * 101)}, "flags"),
    ({"flags": json.loads("[" * 900 + "]" * 900)}, "flags"),
    ({"n" * 151: 1}, "n" * 40 + "…"),
]


def _registered(attributes: object) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "Device Created or Updated",
        "userId": "ann",
        "properties": attributes,
        "context": {"device": {"type": "ios", "token": _TOKEN}},
    }


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        *_BAD_ATTRIBUTES,
        ({"app_id": 1234567890}, "app_id"),
        ({"app_id": ["x"]}, "app_id"),
        ({"apns_environment": "moon"}, "apns_environment"),
    ],
    ids=range(len(_BAD_ATTRIBUTES) + 3),
)
async def test_a_phone_is_registered_without_the_attribute_that_cannot_be_kept(
    door: Any, bad: dict[str, Any], name: str
) -> None:
    before = _dropped("attribute")
    status, answer = await _cdp(door, _registered({"device_os": "18.1", **bad, "zone": "UTC"}))
    assert status == 200
    [error] = answer["errors"]
    assert (error["batch_index"], error["field"]) == (0, f"properties.{name}")
    assert _dropped("attribute") == before + 1
    _, device = await door.app("GET", f"/api/v1/devices/{_TOKEN}")
    assert device["attributes"] == {"device_os": "18.1", "zone": "UTC"}
    assert device["dropped_attributes"] == {name: error["message"]}
    assert await _cdp(door, _registered({"device_os": "18.2"})) == (200, {})
    assert (await door.app("GET", f"/api/v1/devices/{_TOKEN}"))[1]["dropped_attributes"] == {}


async def test_a_phone_that_would_have_too_many_attributes_is_registered_with_those_it_has(door: Any) -> None:
    assert await _cdp(door, _registered({f"a{n}": n for n in range(300)})) == (200, {})
    await door.database.rows(
        "update devices set status = 'bounced', strikes = 1 where workspace_id = $1", door.workspace_id
    )
    before = _dropped("attribute")
    more = {"messageId": "01", "anonymousId": "a", **_registered({"b": 1})}
    [error] = (await _cdp(door, more))[1]["errors"]
    assert _dropped("attribute") == before + 1
    _, device = await door.app("GET", f"/api/v1/devices/{_TOKEN}")
    assert (device["last_status"], len(device["attributes"])) == ("", 300)
    assert device["dropped_attributes"] == {"attributes": error["message"]}
    path = "/api/v1/customers/ann/devices"
    body = {"device": {"id": _TOKEN, "platform": "ios", "attributes": {"b": 1}}}
    assert (await door.track("PUT", path, body))[0] == 400


@pytest.mark.parametrize("attributes", [[], "text", 7, {f"a{n}": n for n in range(301)}])
async def test_a_phone_is_registered_whatever_its_properties_are(door: Any, attributes: object) -> None:
    status, answer = await _cdp(door, _registered(attributes))
    assert (status, answer["errors"][0]["field"]) == (200, "properties")
    assert len((await door.person("ann"))["devices"][0]["attributes"]) in {1, 301}


@pytest.mark.parametrize(
    ("bad", "name"),
    [*_BAD_ATTRIBUTES, ({"email": "e" * 151}, "email"), ({"email": {}}, "email")],
    ids=range(len(_BAD_ATTRIBUTES) + 2),
)
async def test_a_person_is_identified_without_the_trait_that_cannot_be_kept(
    door: Any, bad: dict[str, Any], name: str
) -> None:
    item = {"type": "identify", "userId": "ann", "traits": {"plan": "pro", **bad, "zone": "UTC"}}
    status, answer = await _cdp(door, item)
    assert (status, [error["field"] for error in answer["errors"]]) == (200, [f"traits.{name}"])
    found = (await door.person("ann"))["attributes"]
    assert {key: found[key] for key in found if key not in {"id", "cio_id"}} == {"plan": "pro", "zone": "UTC"}


_ODD = [10**400, [10**400], {"odd": 10**400}, {"odd": json.loads("[" * 101 + "]" * 101)}, "x" * 20_000]


@pytest.mark.parametrize("odd", _ODD, ids=range(len(_ODD)))
async def test_what_is_not_read_of_an_item_costs_nothing(door: Any, odd: Any) -> None:
    device = {"type": "ios", "token": _TOKEN, "adTracking": odd}
    unread = {"integrations": odd, "groupId": odd, "messageId": [odd], "context": {"screen": odd}}
    happened = {"type": "track", "event": "bought", "userId": "ann", "properties": {}}
    items = [
        {**_registered({}), **unread, "context": {"screen": odd, "device": device}},
        {**happened, **unread},
        {**happened, **unread, "type": "screen", "name": "Cart"},
        {"type": "identify", "userId": "ann", "traits": {"plan": "pro"}, **unread},
    ]
    assert await _cdp(door, *items) == (200, {})
    ann = await door.person("ann")
    assert (len(ann["devices"]), ann["attributes"]["plan"]) == (1, "pro")
    assert await _names(door) == ["bought", "Cart"]
    shared = {"device": {"type": "ios", "token": "c" * 64}}
    assert await _cdp(door, {**_registered({}), **unread}, context=shared) == (200, {})
    assert len((await door.person("ann"))["devices"]) == 2


async def test_an_anonymous_id_that_cannot_be_kept_costs_no_user_anything(door: Any) -> None:
    status, answer = await _cdp(door, {**_registered({}), "anonymousId": {}})
    assert (status, answer["errors"][0]["field"]) == (200, "anonymousId")
    assert len((await door.person("ann"))["devices"]) == 1


async def test_a_preference_that_cannot_be_kept_is_not_removed(door: Any) -> None:
    name = "cio_subscription_preferences.topics.topic_1"
    item = {"type": "identify", "userId": "ann", "traits": {name: True}}
    assert await _cdp(door, item) == (200, {})
    before = (await door.person("ann"))["attributes"]
    assert (await _cdp(door, {**item, "traits": {name: "x" * 1001}}))[1]["errors"]
    assert (await door.person("ann"))["attributes"] == before


def _dropped(kind: str) -> float:
    return sum(
        series.value
        for series in PROCESS.series()
        if series.metric is Metric.INGEST_DROPPED
        and kind in series.labels
        and isinstance(series.value, float)
    )


def test_what_is_dropped_is_logged_with_its_reason_without_tokens_and_not_without_end() -> None:
    secret = "APA91b" + "x1" * 70
    drops = DroppedParts("cdp", "request", WorkspaceId(77_777))
    for index in range(200):
        drops.add("item", TooLarge(("traits", secret), "is too long"), index)
    before = _dropped("item")
    with capture_logs() as lines:
        drops.record()
    assert _dropped("item") == before + 200
    assert 1 <= len(lines) <= 10
    assert {(line["event"], line["reason"], line["kind"]) for line in lines} == {
        ("ingest_dropped", "too_large", "item")
    }
    assert secret not in str(lines)
    assert len(drops.shown()) == 100
