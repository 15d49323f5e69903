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


async def test_one_key_does_not_use_up_another_keys_calls(limited_door):
    door = limited_door
    while (await door.raw("GET", "/v1/segments", authorization=door.bearer))[0] == 200:
        pass
    assert (await door.track("PUT", "/api/v1/customers/42", {}))[0] == 200


def test_the_bound_is_a_setting():
    assert config.load({}, environ={"PUSHKEEPER_REQUESTS_PER_S": "50"}).requests_per_s == 50
    assert config.load({}, environ={"PUSHKEEPER_APNS_OUTAGE_WAIT_S": "60"}).apns_outage_wait_s == 60
    assert config.load({}, environ={}).requests_per_s is None
    for wrong in ("0", "many"):
        with pytest.raises(Misconfigured, match=r"(?i)requests_per_s"):
            config.load({}, environ={"PUSHKEEPER_REQUESTS_PER_S": wrong})
