"""Customer.io's App API, and our own, row by row."""

import json
import time

import pytest

SEND = "/v1/send/push"
DEVICES = "/api/v1/customers/42/devices"


async def test_a_person_is_shown_as_customer_io_shows_them(door):
    await door.track(
        "PUT", "/api/v1/customers/42", {"email": "Ann@x.io", "visits": 3, "tags": ["a"], "vip": True}
    )
    await door.track("PUT", DEVICES, {"device": {"id": "t", "platform": "ios"}})
    found = await door.person("42")
    cio_id = found["identifiers"]["cio_id"]
    assert found["id"] == "42"
    assert found["identifiers"] == {"id": "42", "email": "Ann@x.io", "cio_id": cio_id}
    assert found["attributes"] == {
        "id": "42",
        "email": "Ann@x.io",
        "cio_id": cio_id,
        "visits": "3",
        "tags": '["a"]',
        "vip": "true",
    }
    assert set(found["timestamps"]) == set(found["attributes"])
    assert all(isinstance(at, int) for at in found["timestamps"].values())
    assert found["unsubscribed"] is False
    assert [device["attributes"] for device in found["devices"]] == [{"_last_status": ""}]


async def test_a_person_is_found_by_any_identifier_and_by_a_raw_cio_id(door):
    await door.track("PUT", "/api/v1/customers/42", {"email": "ann@x.io"})
    cio_id = (await door.person("42"))["identifiers"]["cio_id"]
    assert (await door.person("ANN@x.io", "email"))["id"] == "42"
    assert (await door.person(cio_id, "cio_id"))["id"] == "42"
    assert (await door.person(cio_id))["id"] == "42"


async def test_people_are_searched_by_email(door):
    await door.track("PUT", "/api/v1/customers/42", {"email": "Ann@x.io"})
    found = (await door.person("42"))["identifiers"]
    assert await door.app("GET", "/v1/customers?email=ann@x.io") == (200, {"results": [found]})
    assert await door.app("GET", "/v1/customers?email=bob@x.io") == (200, {"results": []})
    status, answer = await door.app("GET", "/v1/customers")
    assert (status, "email" in answer["errors"][0]["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/customers/stranger/attributes", 404),
        ("/v1/customers/stranger/attributes?id_type=email", 404),
        ("/v1/customers/zz/attributes?id_type=cio_id", 404),
        ("/v1/customers/42/attributes?id_type=phone", 400),
        ("/v1/customers/%00/attributes", 400),
        ("/v1/customers/%ff/attributes", 400),
        ("/v1/messages/%ff", 400),
        ("/v1/messages/nonsense", 404),
        ("/v1/messages/%00", 404),
        ("/v1/messages/" + "A" * 32, 404),
    ],
)
async def test_what_is_not_there_is_said_in_the_apis_shape(door, path, status):
    answered, body = await door.app("GET", path)
    assert answered == status
    [error] = body["errors"]
    assert error["status"] == str(status)
    assert error["detail"]


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer nonsense", "Basic eDp5", "bearer \x00", "Bearer é"]
)
@pytest.mark.parametrize("call", [("GET", "/v1/customers/42/attributes"), ("POST", SEND)])
async def test_no_key_or_a_wrong_one_is_401(door, authorization, call):
    headers = {} if authorization is None else {"authorization": authorization.replace("\x00", "")}
    status, body, _ = await door.raw(*call, b"{}" if call[0] == "POST" else None, **headers)
    assert (status, json.loads(body)) == (401, {"errors": [{"detail": "unauthorized", "status": "401"}]})


async def test_every_field_of_a_send_is_taken(sender):
    body = {
        "transactional_message_id": "welcome",
        "identifiers": {"id": "42"},
        "to": "all",
        "title": "Hello",
        "message": "World",
        "image_url": "https://x.io/a.png",
        "link": "app://x",
        "sound": "none",
        "custom_data": {"a": "1"},
        "custom_payload": {"ios": {"aps": {"alert": "x"}}, "android": None},
        "custom_device": {"token": "tok", "platform": "android"},
        "message_data": {"name": "Ann"},
        "language": "en",
        "send_at": None,
        "disable_message_retention": False,
        "queue_draft": False,
        "send_to_unsubscribed": True,
        "auto_create": False,
        "platform": None,
    }
    status, answer = await sender.app("POST", SEND, body)
    assert (status, set(answer)) == (200, {"delivery_id", "queued_at"})


async def test_keys_open_only_their_own_api(door):
    assert (await door.raw("GET", "/v1/customers/42/attributes", authorization=door.basic))[0] == 401
    for key in (door.keys.api_key, door.keys.write_key):
        assert (await door.raw("GET", "/v1/customers/42/attributes", authorization=f"Bearer {key}"))[0] == 401
    assert (await door.raw("PUT", DEVICES, b"{}", authorization=door.bearer))[0] == 401
    lower = door.bearer.replace("Bearer", "bearer")
    assert (await door.raw("GET", "/v1/customers?email=a@b.io", authorization=lower))[0] == 200


async def test_a_push_is_queued_and_shown(sender):
    await sender.track("PUT", DEVICES, {"device": {"id": "t" * 40, "platform": "android"}})
    body = {"identifiers": {"id": "42"}, "transactional_message_id": 3, "title": "Hello", "message": "World"}
    status, answer = await sender.app("POST", SEND, body)
    assert status == 200
    assert set(answer) == {"delivery_id", "queued_at"}
    assert abs(answer["queued_at"] - time.time()) < 10
    assert sender.database.delivery_ids.read(answer["delivery_id"]) is not None
    status, found = await sender.app("GET", f"/v1/messages/{answer['delivery_id']}")
    message = found["message"]
    assert status == 200
    assert message["id"] == answer["delivery_id"]
    assert message["type"] == "push"
    assert message["subject"] == "Hello"
    assert message["customer_id"] == "42"
    assert set(message["metrics"]) == {"created"}
    assert message["failure_message"] is None
    assert (await sender.counts())["batches"] == 1


async def test_a_message_of_another_workspace_is_not_there(sender, database):
    from pushkeeper.store.admin import workspaces

    body = {"identifiers": {"id": "42"}, "title": "Hello"}
    _, answer = await sender.app("POST", SEND, body)
    _, keys = await workspaces.create(database, f"other-{answer['delivery_id'][:12]}")
    status, _, _ = await sender.raw(
        "GET", f"/v1/messages/{answer['delivery_id']}", authorization=f"Bearer {keys.app_api_key}"
    )
    assert status == 404


async def test_a_send_may_wait_its_hour_for_ninety_days(sender):
    later = int(time.time()) + 3600
    body = {"identifiers": {"id": "42"}, "title": "Hello"}
    status, answer = await sender.app("POST", SEND, {**body, "send_at": later})
    assert (status, answer["send_at"]) == (200, later)
    status, answer = await sender.app("POST", SEND, {**body, "send_at": 1})
    assert (status, "send_at" in answer) == (200, False)
    status, answer = await sender.app("POST", SEND, {**body, "send_at": int(time.time()) + 91 * 86_400})
    assert (status, "send_at" in answer["meta"]["error"]) == (400, True)


async def test_a_send_creates_unknown_people_and_registers_their_device(sender):
    body = {
        "identifiers": {"email": "new@x.io"},
        "title": "Hello",
        "custom_device": {
            "token": "tok",
            "platform": "android",
            "last_used": "1772013598",
            "attributes": None,
        },
        "to": "tok",
    }
    assert (await sender.app("POST", SEND, body))[0] == 200
    found = await sender.person("new@x.io", "email")
    assert [(device["id"], device["last_used"]) for device in found["devices"]] == [("tok", 1_772_013_598)]


async def test_a_token_of_somebody_else_is_no_place_to_send_to(sender):
    await sender.track("PUT", "/api/v1/customers/bob/devices", {"device": {"id": "bobs", "platform": "ios"}})
    await sender.track("PUT", "/api/v1/customers/42", {})
    before = await sender.counts()
    status, answer = await sender.app("POST", SEND, {"identifiers": {"id": "42"}, "title": "x", "to": "bobs"})
    assert (status, answer["meta"]["error"].startswith("to:")) == (400, True)
    assert await sender.counts() == before


async def test_a_workspace_without_credentials_is_told_so(door):
    status, answer = await door.app("POST", SEND, {"identifiers": {"id": "42"}, "title": "x"})
    assert status == 403
    assert "no FCM or APNs credentials" in answer["meta"]["error"]
    assert not any((await door.counts()).values())


def nested(levels):
    value: dict[str, object] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


async def test_what_is_nested_a_hundred_levels_deep_is_taken(sender):
    for body in (
        {**GOOD, "custom_data": {"a": nested(98)}},
        {**GOOD, "custom_payload": {"ios": {"aps": nested(97)}}},
        {**GOOD, "title": "[" * 1000},
    ):
        status, answer = await sender.app("POST", SEND, body)
        assert status == 200, answer
        assert (await sender.app("GET", f"/v1/messages/{answer['delivery_id']}"))[0] == 200


GOOD = {"identifiers": {"id": "42"}, "title": "Hello"}
BAD_SENDS = [
    (b"not json", "body"),
    (b"[]", "body"),
    ({"title": "x"}, "identifiers"),
    ({**GOOD, "identifiers": "42"}, "identifiers"),
    ({**GOOD, "identifiers": {}}, "identifiers"),
    ({**GOOD, "identifiers": {"id": "1", "email": "a@b.io"}}, "identifiers"),
    ({**GOOD, "identifiers": {"phone": "1"}}, "identifiers.phone"),
    ({**GOOD, "identifiers": {"id": ""}}, "identifiers.id"),
    ({**GOOD, "identifiers": {"id": "x" * 151}}, "identifiers.id"),
    ({**GOOD, "identifiers": {"cio_id": "00000000ffff"}}, "identifiers.cio_id"),
    ({"identifiers": {"id": "42"}}, "message"),
    ({"identifiers": {"id": "42"}, "transactional_message_id": "nothing"}, "transactional_message_id"),
    ({**GOOD, "transactional_message_id": []}, "transactional_message_id"),
    ({**GOOD, "title": 7}, "title"),
    ({**GOOD, "title": "Hello {{ customer.name"}, "title"),
    ({**GOOD, "title": "Hello {{ customer.name | shout }}"}, "line 1, column 26: unknown filter 'shout'"),
    ({**GOOD, "message": "{% if x %}"}, "message"),
    ({**GOOD, "link": "app://{% include 'x' %}"}, "link"),
    ({**GOOD, "image_url": "https://x.io/{{ x }.png"}, "image_url"),
    ({**GOOD, "custom_data": {"a": {"b": ["{{ x"]}}}, "custom_data"),
    ({**GOOD, "custom_payload": {"ios": {"aps": {"alert": "{{ x"}}}}, "custom_payload"),
    ({**GOOD, "message": "m" * 5000}, "message"),
    ({**GOOD, "message": ["x"]}, "message"),
    ({**GOOD, "link": 1}, "link"),
    ({**GOOD, "image_url": "http://x.io/a.png"}, "image_url"),
    ({**GOOD, "sound": "loud"}, "sound"),
    ({**GOOD, "custom_data": []}, "custom_data"),
    ({**GOOD, "custom_data": {"google.x": "1"}}, "custom_data"),
    ({**GOOD, "custom_payload": {"windows": {}}}, "custom_payload"),
    ({**GOOD, "custom_payload": {"ios": 1}}, "custom_payload.ios"),
    ({**GOOD, "to": 7}, "to"),
    ({**GOOD, "to": "stranger"}, "to"),
    ({**GOOD, "send_at": "soon"}, "send_at"),
    ({**GOOD, "send_to_unsubscribed": "no"}, "send_to_unsubscribed"),
    ({**GOOD, "queue_draft": 1}, "queue_draft"),
    ({**GOOD, "message_data": []}, "message_data"),
    ({**GOOD, "language": 7}, "language"),
    ({**GOOD, "auto_create": "yes"}, "auto_create"),
    ({**GOOD, "disable_message_retention": 1}, "disable_message_retention"),
    ({**GOOD, "platform": "symbian"}, "platform"),
    ({**GOOD, "platform": 7}, "platform"),
    ({**GOOD, "custom_device": {"platform": "ios"}}, "custom_device.token"),
    ({**GOOD, "custom_device": {"token": "t", "platform": "x"}}, "custom_device.platform"),
    ({**GOOD, "custom_data": {"a": nested(99)}}, "nested too deeply"),
    ({**GOOD, "custom_payload": {"ios": {"aps": nested(900)}}}, "nested too deeply"),
]


@pytest.mark.parametrize(("body", "named"), BAD_SENDS)
async def test_a_bad_send_is_refused_by_name_and_nothing_is_written(sender, body, named):
    status, answer = await sender.app("POST", SEND, body)
    assert status == 400, answer
    assert named in answer["meta"]["error"]
    assert not any((await sender.counts()).values())


async def test_our_own_api_shows_a_device_and_its_history(door):
    await door.track("PUT", DEVICES, {"device": {"id": "a:b", "platform": "android", "attributes": {"x": 1}}})
    status, device = await door.app("GET", "/api/v1/devices/a%3Ab")
    assert status == 200
    assert (device["token"], device["platform"], device["last_status"], device["attributes"]) == (
        "a:b",
        "android",
        "",
        {"x": 1},
    )
    assert device["person"] == (await door.person("42"))["identifiers"]["cio_id"]
    await door.track("PUT", "/api/v1/customers/43/devices", {"device": {"id": "a:b", "platform": "android"}})
    status, answer = await door.app("GET", "/api/v1/devices/a%3Ab/history?limit=10")
    assert [(line["event"], line["from_person"] is None) for line in answer["history"]] == [
        ("moved", False),
        ("registered", True),
    ]
    assert answer["history"][0]["request_id"]


async def test_our_own_api_counts_devices_and_pushes(door):
    for token, platform in (("a", "ios"), ("b", "ios"), ("c", "android")):
        await door.track("PUT", DEVICES, {"device": {"id": token, "platform": platform}})
    _, answer = await door.app("GET", "/api/v1/stats/devices")
    assert answer == {
        "counts": [
            {"platform": "android", "last_status": "", "devices": 1},
            {"platform": "ios", "last_status": "", "devices": 2},
        ],
        "totals": {"": 3, "sent": 0, "bounced": 0, "suppressed": 0},
        "devices": 3,
    }
    assert await door.app("GET", "/api/v1/stats/pushes?days=7") == (200, {"days": 7, "counts": []})


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        ("/api/v1/devices/unknown", 404, "not_found", None),
        ("/api/v1/devices/unknown/history", 404, "not_found", None),
        ("/api/v1/devices/%20", 400, "missing", "token"),
        ("/api/v1/devices/%ff", 400, "malformed", "token"),
        ("/api/v1/devices/%00", 404, "not_found", None),
        (f"/api/v1/devices/{'t' * 5000}", 400, "too_large", "token"),
        ("/api/v1/devices/t/history?limit=0", 400, "out_of_range", "limit"),
        ("/api/v1/devices/t/history?limit=x", 400, "wrong_type", "limit"),
        ("/api/v1/stats/pushes?days=100000", 400, "out_of_range", "days"),
        (f"/api/v1/stats/pushes?days={'9' * 5000}", 400, "out_of_range", "days"),
    ],
)
async def test_our_own_api_says_what_is_wrong(door, path, status, code, field):
    answered, body = await door.app("GET", path)
    assert (answered, body["error"]["code"], body["error"].get("field")) == (status, code, field)
    assert "tttt" not in body["error"]["message"]
