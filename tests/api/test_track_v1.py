"""Customer.io's Track API, version 1, row by row."""

import asyncio
import json
from base64 import b64encode, urlsafe_b64encode

import pytest

PERSON = "/api/v1/customers/42"
DEVICES = "/api/v1/customers/42/devices"


async def test_success_is_200_and_three_bytes(door):
    status, body, headers = await door.raw("PUT", PERSON, b'{"a": 1}', authorization=door.basic)
    assert (status, body) == (200, b"{}\n")
    assert headers["content-type"] == "application/json; charset=utf-8"


async def test_the_region_is_our_own_origin(door):
    status, answer = await door.track("GET", "/api/v1/accounts/region")
    assert (status, answer["url"], answer["region"]) == (200, "http://push.example.com", "us")
    assert answer["environment_id"] == door.workspace_id


async def test_a_path_is_an_id_an_email_or_a_cio_id(door):
    for segment, kind in (("42", "id"), ("Ann@Example.com", "email"), ("+49170123", "id")):
        assert (await door.track("PUT", f"/api/v1/customers/{segment}", {"seen": segment}))[0] == 200
        assert (await door.person(segment, kind))["attributes"]["seen"] == segment
    cio_id = (await door.person("42"))["identifiers"]["cio_id"]
    await door.track("PUT", f"/api/v1/customers/cio_{cio_id}", {"by": "cio"})
    assert (await door.person("42"))["attributes"]["by"] == "cio"


async def test_a_slash_and_a_colon_in_a_segment_stay_in_it(door):
    await door.track(
        "PUT", "/api/v1/customers/a%2Fb%3Ac/devices", {"device": {"id": "x:y/z", "platform": "ios"}}
    )
    assert [device["id"] for device in (await door.person("a%2Fb%3Ac"))["devices"]] == ["x:y/z"]
    assert await door.track("DELETE", "/api/v1/customers/a%2Fb%3Ac/devices/x%3Ay%2Fz") == (200, {})
    assert (await door.person("a%2Fb%3Ac"))["devices"] == []


async def test_identifiers_in_the_body_name_the_person_too(door):
    await door.track("PUT", "/api/v1/customers/ann@example.com", {"a": 1})
    await door.track("PUT", PERSON, {"email": "ANN@example.com", "b": 2})
    found = await door.person("42")
    assert found["identifiers"]["email"] == "ann@example.com"
    assert (found["attributes"]["a"], found["attributes"]["b"]) == ("1", "2")


async def test_an_identifier_that_somebody_else_has_is_not_applied(door):
    await door.track("PUT", "/api/v1/customers/1", {"email": "one@example.com"})
    await door.track("PUT", "/api/v1/customers/2", {"email": "two@example.com"})
    assert (await door.track("PUT", "/api/v1/customers/2", {"email": "one@example.com", "plan": "pro"}))[
        0
    ] == 200
    assert (await door.person("1"))["identifiers"]["email"] == "one@example.com"
    second = await door.person("2")
    assert second["identifiers"]["email"] == "two@example.com"
    assert second["attributes"]["plan"] == "pro"


async def test_an_unknown_cio_id_is_dropped_and_an_update_creates_nobody(door):
    for segment, body in (("cio_00000000ffff", {"a": 1}), ("42", {"_update": True, "a": 1})):
        assert await door.track("PUT", f"/api/v1/customers/{segment}", body) == (200, {})
    assert (await door.counts())["people"] == 0


@pytest.mark.parametrize(
    ("said", "unsubscribed"),
    [
        ("True", True),
        ("tRuE", True),
        (1, True),
        ("1", True),
        (True, True),
        (False, False),
        ("yes", False),
        (0, False),
    ],
)
async def test_unsubscribed_is_true_in_any_casing(door, said, unsubscribed):
    await door.track("PUT", PERSON, {"unsubscribed": said})
    assert (await door.person("42"))["unsubscribed"] is unsubscribed


async def test_null_and_empty_remove_an_attribute(door):
    await door.track("PUT", PERSON, {"a": 1, "b": 2, "c": 3, "_timestamp": 1_772_013_597})
    await door.track("PUT", PERSON, {"a": None, "b": "", "_timestamp": 1_772_013_598, "d": {"e": [1]}})
    found = await door.person("42")
    assert {k: v for k, v in found["attributes"].items() if k not in {"id", "cio_id"}} == {
        "c": "3",
        "d": '{"e":[1]}',
    }
    assert found["timestamps"]["d"] == 1_772_013_598
    assert "a" not in found["timestamps"]


async def test_what_customer_io_sends_beside_attributes_is_taken(door):
    body = {
        "created_at": 1_772_013_598,
        "cio_subscription_preferences": {"topics": {"topic_1": True}},
        "cio_relationships": {"action": "add_relationships", "relationships": []},
        "anonymous_id": "anon-1",
    }
    assert (await door.track("PUT", PERSON, body))[0] == 200
    found = await door.person("42")
    assert json.loads(found["attributes"]["cio_subscription_preferences"]) == {"topics": {"topic_1": True}}
    assert "cio_relationships" not in found["attributes"]


async def preferences(door):
    return json.loads((await door.person("42"))["attributes"]["cio_subscription_preferences"])


async def test_a_dotted_preference_changes_one_entry_and_leaves_the_rest(door):
    topics, channels = "cio_subscription_preferences.topics", "cio_subscription_preferences.channels"
    await door.track("PUT", PERSON, {f"{topics}.topic_1": True, "_timestamp": 1_772_013_598})
    assert await preferences(door) == {"topics": {"topic_1": True}}
    body = {f"{topics}.topic_2": False, f"{channels}.push": False}
    await door.track("PUT", PERSON, body)
    assert await preferences(door) == {
        "topics": {"topic_1": True, "topic_2": False},
        "channels": {"push": False},
    }
    await door.track("PUT", PERSON, {f"{topics}.topic_1": None, f"{channels}.push": ""})
    assert await preferences(door) == {"topics": {"topic_2": False}, "channels": {}}
    whole = {"cio_subscription_preferences": {"topics": {"topic_9": True}}, f"{topics}.topic_3": True}
    await door.track("PUT", PERSON, whole)
    assert await preferences(door) == {"topics": {"topic_9": True, "topic_3": True}}
    assert set((await door.person("42"))["attributes"]) == {"id", "cio_id", "cio_subscription_preferences"}


async def test_dotted_preferences_do_not_grow_without_bound(door):
    dotted = {f"cio_subscription_preferences.topics.topic_{n}": True for n in range(200)}
    status, answer = await door.track("PUT", PERSON, dotted)
    assert (status, "cio_subscription_preferences" in answer["meta"]["errors"][0]) == (400, True)
    assert not any((await door.counts()).values())


async def test_a_device_is_read_back_as_it_was_told(door):
    device = {
        "id": "token",
        "platform": "iOS",
        "last_used": "1772013598",
        "attributes": {
            "device_os": 34,
            "push_enabled": True,
            "network_wifi": True,
            "_last_status": "sent",
            "x": "y",
        },
        "stray": "ignored",
    }
    assert (await door.track("PUT", DEVICES, {"device": device}))[0] == 200
    [found] = (await door.person("42"))["devices"]
    assert found == {
        "id": "token",
        "platform": "ios",
        "last_used": 1_772_013_598,
        "attributes": {
            "device_os": "34",
            "push_enabled": "true",
            "network_wifi": True,
            "x": "y",
            "_last_status": "",
        },
    }


async def test_attributes_of_a_device_merge_and_null_is_none(door):
    await door.track(
        "PUT", DEVICES, {"device": {"id": "t", "platform": "ios", "attributes": {"a": "1", "b": "2"}}}
    )
    await door.track(
        "PUT", DEVICES, {"device": {"id": "t", "platform": "ios", "attributes": {"a": None, "c": "3"}}}
    )
    await door.track("PUT", DEVICES, {"device": {"id": "t", "platform": "ios", "attributes": None}})
    [found] = (await door.person("42"))["devices"]
    assert found["attributes"] == {"b": "2", "c": "3", "_last_status": ""}


async def test_a_device_gathers_no_more_attributes_than_a_person_may_have(door):
    device = {"id": "t", "platform": "ios", "attributes": {f"a{n}": n for n in range(300)}}
    assert await door.track("PUT", DEVICES, {"device": device}) == (200, {})
    before = await door.person("42")
    status, answer = await door.track("PUT", DEVICES, {"device": {**device, "attributes": {"b": 1}}})
    assert (status, "attributes" in answer["meta"]["errors"][0]) == (400, True)
    assert await door.person("42") == before


async def test_a_new_owner_does_not_see_what_the_app_kept_for_the_former_one(door):
    device = {"id": "t", "platform": "ios"}
    await door.track("PUT", "/api/v1/customers/old/devices", {"device": {**device, "attributes": {"a": "x"}}})
    await door.track("PUT", "/api/v1/customers/new/devices", {"device": {**device, "attributes": {"b": "y"}}})
    [found] = (await door.person("new"))["devices"]
    assert found["attributes"] == {"b": "y", "_last_status": ""}


async def test_a_device_can_say_its_app_and_environment(door):
    attributes = {"app_id": "com.example", "apns_environment": "sandbox"}
    await door.track("PUT", DEVICES, {"device": {"id": "t", "platform": "ios", "attributes": attributes}})
    _, found = await door.app("GET", "/api/v1/devices/t")
    assert (found["app"], found["environment"]) == ("com.example", "sandbox")


async def test_a_token_moves_to_the_person_who_registers_it(door):
    await door.track("PUT", "/api/v1/customers/old/devices", {"device": {"id": "t", "platform": "ios"}})
    await door.track("PUT", "/api/v1/customers/new/devices", {"device": {"id": "t", "platform": "ios"}})
    assert (await door.person("old"))["devices"] == []
    assert len((await door.person("new"))["devices"]) == 1
    await door.track("DELETE", "/api/v1/customers/old/devices/t")
    assert len((await door.person("new"))["devices"]) == 1, "it is not the former owner's to delete"


@pytest.mark.parametrize("path", [PERSON, f"{DEVICES}/unknown"])
async def test_deleting_what_is_not_there_succeeds_whatever_the_body(door, path):
    for body, headers in (
        (b"{}", {"content-type": "application/json"}),
        (None, {"content-type": "application/json"}),
    ):
        status, answer, _ = await door.raw("DELETE", path, body, authorization=door.basic, **headers)
        assert (status, answer) == (200, b"{}\n")


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("pad", [True, False])
async def test_basic_comes_in_both_alphabets_padded_or_not(door, encode, pad):
    credentials = encode(f"{door.keys.site_id}:{door.keys.api_key}".encode()).decode()
    credentials = credentials if pad else credentials.rstrip("=")
    status, _, _ = await door.raw("PUT", PERSON, b"{}", authorization=f"Basic {credentials}")
    assert status == 200


@pytest.mark.parametrize(
    "authorization", ["", "Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Basic é", "Bearer x", "nonsense"]
)
async def test_no_key_or_a_wrong_one_is_401(door, authorization):
    headers = {"authorization": authorization} if authorization else {}
    status, body, answered = await door.raw("PUT", PERSON, b"{}", **headers)
    assert (status, json.loads(body)) == (401, {"meta": {"error": "Unauthorized request"}})
    assert "www-authenticate" in answered
    assert (await door.counts())["people"] == 0


async def test_a_wrong_key_after_a_right_one_is_still_wrong(door):
    assert (await door.track("PUT", PERSON, {}))[0] == 200
    wrong = "Basic " + b64encode(f"{door.keys.site_id}:{door.keys.app_api_key}".encode()).decode()
    assert (await door.raw("PUT", PERSON, b"{}", authorization=wrong))[0] == 401


BAD_PEOPLE = [
    (b"not json", "body"),
    (b"[1]", "body"),
    (b'"text"', "body"),
    (b'{"a": NaN}', "body"),
    (b"[" * 50_000, "body"),
    (b'{"a": {"b": 1e999}}', "a.b"),
    (json.dumps({"n" * 151: 1}).encode(), "150 bytes"),
    (json.dumps({"a": "v" * 1001}).encode(), "value for attribute 'a' cannot be longer than 1000 bytes"),
    (json.dumps({"a": ["v" * 1000]}).encode(), "'a'"),
    (json.dumps({"a": 2**70}).encode(), "'a'"),
    (json.dumps({f"a{n}": 1 for n in range(301)}).encode(), "300"),
    (b'{"id": ["x"]}', "id"),
    (json.dumps({"email": "e" * 151}).encode(), "email"),
    (b'{"_update": "yes"}', "_update"),
    (b'{"": 1}', "name"),
    (b'{"a": ' + b"9" * 5000 + b"}", "a: out of range"),
    (b'{"id": ' + b"9" * 200 + b"}", "id"),
    (b'{"a": "\xff"}', "body"),
    (b'{"a": "x\x00y"}', "body"),
]


async def test_half_a_character_is_read_as_one_that_is_unknown_and_nul_as_none(door):
    body = b'{"a": "x\\ud83d\\u0000y", "n\\u0000": "\\u0000n"}'
    status, answer, _ = await door.raw("PUT", PERSON, body, authorization=door.basic)
    assert status == 200, answer
    found = (await door.person("42"))["attributes"]
    assert (found["a"], found["n"]) == ("x\ufffdy", "n")


@pytest.mark.parametrize(("body", "named"), BAD_PEOPLE)
async def test_a_bad_person_is_refused_by_name_and_nothing_is_written(door, body, named):
    status, answer, _ = await door.raw("PUT", PERSON, body, authorization=door.basic)
    assert status == 400, answer
    [said] = json.loads(answer)["meta"]["errors"]
    assert named in said
    assert not any((await door.counts()).values())


BAD_DEVICES = [
    ({}, "device"),
    ({"device": []}, "device"),
    ({"device": {"platform": "ios"}}, "device.id"),
    ({"device": {"id": "", "platform": "ios"}}, "device.id"),
    ({"device": {"id": "   ", "platform": "ios"}}, "device.id"),
    ({"device": {"id": 7, "platform": "ios"}}, "device.id"),
    ({"device": {"id": "t" * 10_000, "platform": "ios"}}, "device.id"),
    ({"device": {"id": "t"}}, "device.platform"),
    ({"device": {"id": "t", "platform": "symbian"}}, "device.platform"),
    ({"device": {"id": "t", "platform": 1}}, "device.platform"),
    ({"device": {"id": "t", "platform": "ios", "attributes": [1]}}, "device.attributes"),
    ({"device": {"id": "t", "platform": "ios", "attributes": {"a": "v" * 1001}}}, "'a'"),
    (
        {"device": {"id": "t", "platform": "ios", "attributes": {f"a{n}": 1 for n in range(301)}}},
        "device.attributes",
    ),
    (
        {"device": {"id": "t", "platform": "ios", "attributes": {"apns_environment": "moon"}}},
        "apns_environment",
    ),
    ({"device": {"id": "t", "platform": "ios", "attributes": {"app_id": 7}}}, "app_id"),
]


@pytest.mark.parametrize(("body", "named"), BAD_DEVICES)
async def test_a_bad_device_is_refused_by_name_and_nothing_is_written(door, body, named):
    status, answer = await door.track("PUT", DEVICES, body)
    assert status == 400, answer
    [said] = answer["meta"]["errors"]
    assert named in said
    assert "tttt" not in said, "a token is not repeated"
    assert not any((await door.counts()).values())


@pytest.mark.parametrize("segment", ["%20", "%00", "a%00b", "x" * 151, "%ff", "%ed%a0%80"])
async def test_a_bad_identifier_in_the_path_is_refused(door, segment):
    status, answer = await door.track("PUT", f"/api/v1/customers/{segment}", {})
    assert status == 400, answer
    assert "identifier" in answer["meta"]["errors"][0]


@pytest.mark.parametrize("segment", ["%20", "a%00b", "t" * 4097, "%ff"])
async def test_a_bad_token_in_the_path_is_refused(door, segment):
    status, answer = await door.track("DELETE", f"{DEVICES}/{segment}")
    assert status == 400, answer
    assert answer["meta"]["errors"][0].startswith("device_id:")
    assert "tttt" not in answer["meta"]["errors"][0]


async def test_the_last_of_two_values_under_one_name_counts(door):
    await door.raw("PUT", PERSON, b'{"a": 1, "a": 2}', authorization=door.basic)
    assert (await door.person("42"))["attributes"]["a"] == "2"


async def test_a_segment_is_utf_8(door):
    await door.track("PUT", "/api/v1/customers/%C3%A9", {"a": 1})
    assert (await door.person("%c3%a9"))["id"] == "é"


async def test_a_client_that_leaves_before_its_body_is_there_changes_nothing(door):
    head = f"PUT {PERSON} HTTP/1.1\r\nhost: x\r\nauthorization: {door.basic}\r\ncontent-length: 99\r\n\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(head.encode() + b'{"a":')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await door.track("GET", "/api/v1/accounts/region"))[0] == 200
    assert not any((await door.counts()).values())


async def test_a_body_of_more_than_a_megabyte_is_refused(door):
    status, answer, _ = await door.raw("PUT", PERSON, b" " * 1_000_001, authorization=door.basic)
    assert status == 413
    assert "body" in json.loads(answer)["meta"]["errors"][0]


async def test_the_limit_of_attributes_is_a_persons_and_fails_only_the_call_that_passes_it(door):
    await door.track("PUT", PERSON, {f"a{n}": 1 for n in range(299)})
    assert (await door.track("PUT", PERSON, {"b": 1}))[0] == 200
    status, answer = await door.track("PUT", PERSON, {"c": 1})
    assert (status, "300" in answer["meta"]["errors"][0]) == (400, True)
    assert "c" not in (await door.person("42"))["attributes"]


async def test_request_ids_are_echoed_and_made(door):
    _, _, headers = await door.raw(
        "PUT", PERSON, b"{}", authorization=door.basic, **{"x-request-id": "mine-1"}
    )
    assert headers["x-request-id"] == "mine-1"
    _, _, headers = await door.raw(
        "PUT", PERSON, b"{}", authorization=door.basic, **{"x-request-id": "two words"}
    )
    assert len(headers["x-request-id"]) == 32


async def test_unknown_routes_and_methods_are_said_in_json(door):
    status, body, _ = await door.raw("GET", "/nowhere")
    assert (status, json.loads(body)["errors"][0]["status"]) == (404, "404")
    status, body, headers = await door.raw("POST", PERSON, b"{}")
    assert (status, json.loads(body)["meta"]["error"]) == (405, "POST is not supported for this path")
    assert headers["allow"] == "PUT, DELETE"
    status, body, headers = await door.raw("PUT", "/v1/send/push", b"{}")
    assert (status, json.loads(body)["meta"]["error"]) == (405, "PUT is not supported for this path")
    status, _, headers = await door.raw("PUT", PERSON + "/", b"{}", authorization=door.basic)
    assert (status, "location" in headers) == (200, False)


async def test_health_and_readiness(door):
    for path in ("/healthz", "/readyz"):
        status, body, _ = await door.raw("GET", path)
        assert (status, json.loads(body)) == (200, {"status": "ok"})
