"""The list of what breaks a naive server, one by one, and every path of Customer.io's that is served."""

import gzip
import json
import time
from base64 import b64encode, urlsafe_b64encode

import pytest

DEVICES = "/api/v1/customers/42/devices"


def dcu(user, token="t", **more):
    context = {"device": {"token": token, "type": "android"}}
    return {"type": "track", "event": "Device Created or Updated", "userId": user, "context": context, **more}


def dd(user, token="t", **more):
    return {**dcu(user, token), "event": "Device Deleted", **more}


async def batch(door, *items, **headers):
    body = json.dumps({"writeKey": door.keys.write_key, "batch": list(items)}).encode()
    return await door.raw("POST", "/v1/b", body, **headers)


async def tokens(door, person="42"):
    status, answer = await door.app("GET", f"/v1/customers/{person}/attributes")
    return [device["id"] for device in answer["customer"]["devices"]] if status == 200 else None


async def test_01_every_success_of_track_is_200_and_an_empty_object(door):
    calls = [
        ("PUT", "/api/v1/customers/42", {"a": 1}),
        ("PUT", DEVICES, {"device": {"id": "t", "platform": "ios"}}),
        ("DELETE", f"{DEVICES}/t", None),
        ("POST", "/api/v1/customers/42/events", {"name": "n"}),
        ("POST", "/api/v1/events", {"name": "n", "anonymous_id": "a"}),
        ("POST", "/api/v1/customers/42/suppress", {}),
        ("POST", "/api/v1/customers/42/unsuppress", {}),
        ("POST", "/api/v1/merge_customers", {"primary": {"id": "1"}, "secondary": {"id": "2"}}),
        ("POST", "/api/v1/metrics", {"delivery_id": "x", "metric": "opened"}),
        ("POST", "/api/v2/entity", {"type": "person", "action": "identify", "identifiers": {"id": "42"}}),
        ("POST", "/api/v2/batch", {"batch": []}),
        ("DELETE", "/api/v1/customers/42", None),
    ]
    for method, path, body in calls:
        data = None if body is None else json.dumps(body).encode()
        status, answer, headers = await door.raw(method, path, data, authorization=door.basic)
        assert (path, status, answer) == (path, 200, b"{}\n")
        assert headers["content-type"] == "application/json; charset=utf-8"


async def test_02_a_key_is_read_in_either_alphabet_with_or_without_padding(door):
    pair = f"{door.keys.site_id}:{door.keys.api_key}".encode()
    for encoded in (b64encode(pair), urlsafe_b64encode(pair), b64encode(pair).rstrip(b"=")):
        basic = f"Basic {encoded.decode()}"
        status, _, _ = await door.raw("PUT", "/api/v1/customers/42", b"{}", authorization=basic)
        assert status == 200


async def test_03_a_device_as_each_client_writes_it_is_taken(door):
    device = {"id": "t", "platform": "iOS", "last_used": str(int(time.time())), "attributes": None}
    assert (await door.track("PUT", DEVICES, {"device": device}))[0] == 200
    typed = {"push_enabled": True, "device_os": 34, "network_wifi": False}
    await door.track("PUT", DEVICES, {"device": {**device, "attributes": typed}})
    [found] = (await door.person("42"))["devices"]
    shown = {name: found["attributes"][name] for name in typed}
    assert shown == {"push_enabled": "true", "device_os": "34", "network_wifi": False}


@pytest.mark.parametrize("body", [b"", b"{}", None])
async def test_04_a_delete_may_have_a_body_or_an_empty_one_called_json(door, body):
    await door.track("PUT", DEVICES, {"device": {"id": "t", "platform": "ios"}})
    headers = {"authorization": door.basic, "content-type": "application/json"}
    assert (await door.raw("DELETE", f"{DEVICES}/t", body, **headers))[0] == 200
    assert (await door.raw("DELETE", "/api/v1/customers/42", body, **headers))[0] == 200


async def test_05_the_paths_that_no_page_names_are_served(door):
    assert (await door.raw("POST", "/push/events", b"{}"))[0] == 200
    assert (await batch(door))[0] == 200
    assert (await door.raw("GET", f"/v1/projects/{door.keys.write_key}/settings"))[0] == 200


async def test_06_a_zipped_chunked_text_with_its_key_inside_is_read(door):
    zipped = gzip.compress(json.dumps({"writeKey": door.keys.write_key, "batch": [dcu("42")]}).encode())
    headers = {"content-type": "text/plain", "content-encoding": "gzip"}
    assert (await door.raw("POST", "/v1/b", iter([zipped]), **headers))[0] == 200
    assert await tokens(door) == ["t"]


async def test_07_a_mobile_batch_with_a_bad_item_is_not_refused(door):
    status, _, _ = await batch(door, {"type": "nonsense"}, dcu("42"))
    assert (status, await tokens(door)) == (200, ["t"])


async def test_08_order_is_kept_null_is_nobody_and_a_delivery_makes_no_person(door):
    await batch(door, dcu("old"), dd("old"), dcu("42"), dd("null", "other"))
    assert (await tokens(door), await tokens(door, "old")) == (["t"], [])
    told = {
        "event": "Report Delivery Event",
        "anonymousId": "d",
        "properties": {"deliveryId": "d", "metric": "opened"},
    }
    await batch(door, {"type": "track", **told})
    assert (await door.counts())["people"] == 2


async def test_09_a_token_on_an_ordinary_event_changes_no_device(door):
    await batch(door, dcu("42", event="bought"), {**dcu("42"), "type": "identify"})
    assert await tokens(door) == []


async def test_10_each_api_says_no_in_its_own_shape(door):
    bad = {"device": {"id": "t"}}
    assert "errors" in (await door.track("PUT", DEVICES, bad))[1]["meta"]
    assert "error" in (await door.track("POST", "/api/v1/merge_customers", {}))[1]["meta"]
    [error] = (await door.track("POST", "/api/v2/entity", {}))[1]["errors"]
    assert set(error) == {"reason", "field", "message"}
    [error] = (await door.app("GET", "/v1/customers/nobody/attributes"))[1]["errors"]
    assert error == {"detail": "not found", "status": "404"}
    assert "error" in (await door.app("POST", "/v1/send/push", {}))[1]["meta"]


async def test_12_what_is_an_id_in_version_one_is_a_token_in_version_two(door):
    await door.track("PUT", DEVICES, {"device": {"id": "v1", "platform": "ios"}})
    cio_id = (await door.person("42"))["identifiers"]["cio_id"]
    await door.track("PUT", f"/api/v1/customers/cio_{cio_id}", {"by": "v1"})
    device = {"token": "v2", "platform": "ios"}
    told = {"type": "person", "action": "add_device", "identifiers": {"cio_id": cio_id}, "device": device}
    assert (await door.track("POST", "/api/v2/entity", told))[0] == 200
    assert sorted(await tokens(door)) == ["v1", "v2"]


PATHS = [
    ("GET", "/api/v1/accounts/region", "basic"),
    *[(method, "/api/v1/customers/42", "basic") for method in ("PUT", "DELETE")],
    ("PUT", DEVICES, "basic"),
    ("DELETE", f"{DEVICES}/t", "basic"),
    *[("POST", f"/api/v1/customers/42/{what}", "basic") for what in ("suppress", "unsuppress", "events")],
    *[("POST", f"/api/v1/{what}", "basic") for what in ("events", "merge_customers", "forms/f/submit")],
    *[("POST", f"/api/v1/{what}", "none") for what in ("metrics", "push/events")],
    ("POST", "/push/events", "none"),
    ("POST", "/unsubscribe/d", "none"),
    *[("POST", f"/api/v2/{what}", "basic") for what in ("entity", "batch")],
    *[(method, "/v1/customers", "bearer") for method in ("GET", "POST")],
    ("POST", "/v1/customers/attributes", "bearer"),
    *[("GET", f"/v1/customers/42/{what}", "bearer") for what in ("attributes", "segments")],
    *[(method, "/v1/segments", "bearer") for method in ("GET", "POST")],
    ("POST", "/v1/send/push", "bearer"),
    *[
        ("POST", f"/v1/{what}", "body")
        for what in ("identify", "track", "page", "screen", "group", "alias", "batch", "b", *"itpsga")
    ],
]


@pytest.mark.parametrize(("method", "path", "key"), PATHS)
async def test_every_path_is_there_and_asks_for_its_own_key(door, method, path, key):
    own = {"basic": door.basic, "bearer": door.bearer}.get(key)
    others = [wrong for wrong in (door.basic, door.bearer) if wrong != own]
    headers = {} if own is None else {"authorization": own}
    status, _, _ = await door.raw(method, path, b"{}", **headers)
    assert status not in {401, 405, 500} or key == "body"
    if own is not None:
        assert (await door.raw(method, path, b"{}"))[0] == 401
        for wrong in others:
            assert (await door.raw(method, path, b"{}", authorization=wrong))[0] == 401


async def test_a_path_that_is_none_is_not_found_and_a_wrong_method_says_which_are_right(door):
    for path in ("/", "/nowhere", "/api/v1", "/api/v1/customers"):
        assert (await door.raw("POST", path, b"{}", authorization=door.bearer))[0] == 404
    status, _, headers = await door.raw("PATCH", "/v1/segments", b"{}", authorization=door.bearer)
    assert (status, headers["allow"]) == (405, "GET, POST, HEAD")
