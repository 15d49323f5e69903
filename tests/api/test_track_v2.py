"""Customer.io's Track API, version 2: every operation, and batches in which each stands or falls by itself."""

import json

import pytest

ANN = {"id": "42"}


def person(action, **more):
    return {"type": "person", "action": action, "identifiers": ANN, **more}


def device(action, token, **more):
    return person(action, device={"token": token, "platform": "ios", **more})


async def entity(door, item):
    return await door.track("POST", "/api/v2/entity", item)


async def batch(door, *items):
    return await door.track("POST", "/api/v2/batch", {"batch": list(items)})


async def names(door):
    rows = await door.database.rows(
        "select kind, name, data, person_id is null as anonymous from events where workspace_id = $1 order by event_id",
        door.workspace_id,
    )
    return [(row["kind"], row["name"], row["data"], row["anonymous"]) for row in rows]


async def test_a_person_is_identified_by_one_identifier_and_gets_others(door):
    attributes = {"email": "ann@example.com", "plan": "pro", "unsubscribed": "TRUE"}
    assert await entity(door, person("identify", attributes=attributes)) == (200, {})
    found = await door.person("42")
    assert found["identifiers"]["email"] == "ann@example.com"
    assert (found["attributes"]["plan"], found["unsubscribed"]) == ("pro", True)
    cio_id = found["identifiers"]["cio_id"]
    by_cio_id = {
        "type": "person",
        "action": "identify",
        "identifiers": {"cio_id": cio_id},
        "attributes": {"a": 1},
    }
    assert await entity(door, by_cio_id) == (200, {})
    assert (await door.person("42"))["attributes"]["a"] == "1"
    await entity(door, {**person("identify", attributes={"_update": True}), "identifiers": {"id": "nobody"}})
    assert (await door.counts())["people"] == 1


async def test_the_time_of_an_operation_is_the_time_of_its_attributes(door):
    await entity(door, person("identify", attributes={"plan": "pro"}, timestamp=1_600_000_000))
    assert (await door.person("42"))["timestamps"]["plan"] == 1_600_000_000


async def test_a_device_is_updated_and_deleted_by_its_token(door):
    told = device("add_device", "t1", last_used="1772013598", attributes=None)
    assert await entity(door, told) == (200, {})
    [found] = (await door.person("42"))["devices"]
    assert (found["id"], found["last_used"]) == ("t1", 1772013598)
    assert await entity(door, device("delete_device", "t1")) == (200, {})
    assert (await door.person("42"))["devices"] == []


async def test_events_pages_and_screens_are_kept(door):
    for action in ("event", "page", "screen"):
        await entity(door, person(action, name=f"a {action}", attributes={"n": 1}))
    anonymous = {"type": "person", "action": "event", "identifiers": {"anonymous_id": "a1"}, "name": "seen"}
    assert await entity(door, anonymous) == (200, {})
    kinds = [(kind, f"a {kind}", {"n": 1}, False) for kind in ("event", "page", "screen")]
    assert await names(door) == [*kinds, ("event", "seen", {}, True)]


async def test_people_are_deleted_suppressed_unsuppressed_and_merged(door):
    await entity(door, person("identify", attributes={"a": 1}))
    assert await entity(door, person("delete")) == (200, {})
    assert (await door.counts())["people"] == 0
    await entity(door, person("suppress"))
    await entity(door, person("identify", attributes={"a": 1}))
    assert (await door.counts())["people"] == 0
    await entity(door, person("unsuppress"))
    await entity(door, person("identify", attributes={"a": 1}))
    await entity(door, {**person("identify", attributes={"b": 2}), "identifiers": {"id": "43"}})
    merge = {"type": "person", "action": "merge", "primary": ANN, "secondary": {"id": "43"}}
    assert await entity(door, merge) == (200, {})
    assert (await door.person("42"))["attributes"]["b"] == "2"
    assert (await door.counts())["people"] == 1


async def test_objects_and_relationships_are_kept_as_they_are_said(door):
    said = [
        {
            "type": "object",
            "action": "identify",
            "identifiers": {"object_type_id": "1", "object_id": "acme"},
            "attributes": {"a": 1},
        },
        person(
            "add_relationships",
            cio_relationships=[{"identifiers": {"object_type_id": "1", "object_id": "acme"}}],
        ),
    ]
    assert await batch(door, *said) == (200, {})
    rows = await door.database.rows(
        "select said from object_notes where workspace_id = $1 order by note_id", door.workspace_id
    )
    assert sorted((row["said"] for row in rows), key=json.dumps) == sorted(said, key=json.dumps)


async def test_a_delivery_is_reported_by_the_app(sender):
    await entity(sender, device("add_device", "t1"))
    body = {"identifiers": ANN, "title": "Hello", "message": "text"}
    delivery_id = (await sender.app("POST", "/v1/send/push", body))[1]["delivery_id"]
    told = {
        "type": "delivery",
        "action": "event",
        "identifiers": {"id": delivery_id},
        "name": "delivered",
        "timestamp": 1_772_013_598,
        "attributes": {"device_token": "t1"},
    }
    assert await entity(sender, told) == (200, {})
    metrics = (await sender.app("GET", f"/v1/messages/{delivery_id}"))[1]["message"]["metrics"]
    assert metrics["delivered"] == 1_772_013_598


BAD = [
    ({}, "type", "invalid"),
    ({"type": "person"}, "action", "invalid"),
    ({"type": "robot", "action": "identify"}, "type", "invalid"),
    ({"type": "person", "action": "dance", "identifiers": ANN}, "action", "invalid"),
    ({"type": "person", "action": "identify"}, "identifiers", "invalid"),
    (
        {"type": "person", "action": "identify", "identifiers": {"id": "1", "email": "a"}},
        "identifiers",
        "invalid",
    ),
    ({"type": "person", "action": "identify", "identifiers": {"id": ""}}, "identifiers.id", "required"),
    (person("event"), "name", "required"),
    (person("event", name="n" * 101), "name", "too_large"),
    (person("add_device"), "device", "invalid"),
    (person("add_device", device={"id": "t", "platform": "ios"}), "device.token", "required"),
    (device("add_device", "t", platform="symbian"), "device.platform", "invalid"),
    (person("identify", attributes={"a": "b" * 1001}), "attributes.a", "too_large"),
    (person("merge", primary=ANN), "secondary", "invalid"),
    ({"type": "object", "action": "dance", "identifiers": {}}, "action", "invalid"),
    ({"type": "delivery", "action": "event", "name": "opened"}, "identifiers", "invalid"),
]


@pytest.mark.parametrize(("item", "field", "reason"), BAD)
async def test_a_bad_operation_is_told_by_reason_and_field(door, item, field, reason):
    status, answer = await entity(door, item)
    [error] = answer["errors"]
    assert (status, error["field"], error["reason"]) == (400, field, reason)
    assert error["message"]
    assert not any((await door.counts()).values())


async def test_a_batch_keeps_the_good_and_names_the_bad_by_their_place(door):
    items = [device("add_device", f"t{n}") for n in range(3)]
    status, answer = await batch(door, BAD[0][0], items[0], BAD[7][0], items[1], "no operation", items[2])
    assert status == 207
    assert [error["batch_index"] for error in answer["errors"]] == [0, 2, 4]
    assert [set(error) for error in answer["errors"]] == [{"batch_index", "reason", "field", "message"}] * 3
    assert {found["id"] for found in (await door.person("42"))["devices"]} == {"t0", "t1", "t2"}


async def test_a_batch_is_done_in_its_order(door):
    await batch(
        door,
        person("identify", attributes={"plan": "free"}),
        device("add_device", "t1"),
        device("delete_device", "t1"),
        person("identify", attributes={"plan": "pro"}),
        device("add_device", "t2"),
        person("event", name="bought"),
        person("delete"),
        device("add_device", "t3"),
    )
    found = await door.person("42")
    assert [found["id"] for found in found["devices"]] == ["t3"]
    assert "plan" not in found["attributes"]


async def test_a_person_refused_by_what_they_have_already_is_refused_in_their_place(door):
    for start in (0, 150):
        await entity(door, person("identify", attributes={f"a{n}": n for n in range(start, start + 150)}))
    status, answer = await batch(door, person("identify", attributes={"b": 1}), device("add_device", "t1"))
    assert (status, [error["batch_index"] for error in answer["errors"]]) == (207, [0])
    assert [found["id"] for found in (await door.person("42"))["devices"]] == ["t1"]


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b"nonsense", "body", "parse_error"),
        (b"[]", "body", "parse_error"),
        (b"{}", "batch", "invalid"),
        (json.dumps({"batch": ["x" * 600_000]}).encode(), "batch", "too_large"),
    ],
)
async def test_a_batch_that_is_none_is_refused_whole(door, raw, field, reason):
    status, answer, _ = await door.raw("POST", "/api/v2/batch", raw, authorization=door.basic)
    [error] = json.loads(answer)["errors"]
    assert (status, error["field"], error["reason"]) == (400, field, reason)
    assert "batch_index" not in error


async def test_an_operation_over_32_kb_is_refused_alone(door):
    big = person("event", name="n", attributes={"a": "b" * 33_000})
    status, answer = await batch(door, big, device("add_device", "t1"))
    assert (status, answer["errors"][0]["batch_index"], answer["errors"][0]["reason"]) == (
        207,
        0,
        "too_large",
    )
    assert [found["id"] for found in (await door.person("42"))["devices"]] == ["t1"]


async def test_without_a_key_nothing_is_done(door):
    status, _, headers = await door.raw("POST", "/api/v2/batch", b'{"batch": []}')
    assert status == 401
    assert "Basic" in headers["www-authenticate"]
