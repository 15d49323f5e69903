"""Ids that are a program's placeholder gather nobody's phones: every call that could make a person by one is refused by its field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from pushkeeper.core.placeholders import PLACEHOLDERS
from support.requests import SAMPLES, filled, key_of, places, with_value

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = (
    *PLACEHOLDERS,
    "NULL",
    " undefined ",
    "'null'",
    "0",
    "00000000-0000-0000-0000-000000000000",
    "{{customer.id}}",
    "${userId}",
)
# Of a real user an app may say so, and it costs nobody else anything.
FINE = ("nullable", "nancy", "007", "guest7", "undefined@example.com")
TOKEN = "1e21b0c5" * 8
DEVICE = {"id": TOKEN, "token": TOKEN, "platform": "ios"}
CREATED = {"type": "track", "event": "Device Created or Updated", "properties": {}}
PHONE = {"context": {"device": {"type": "ios", "token": TOKEN}}}


def _person(action: str, kind: str, word: str, **more: Any) -> dict[str, Any]:
    return {"type": "person", "action": action, "identifiers": {kind: word}, **more}


def makers(door: Any, word: str) -> Iterator[tuple[str, str, Any, str]]:
    """Every call that makes a person by an id or email: its method, path and body, and the field of that."""
    path = f"/api/v1/customers/{quote(word, safe='')}"
    yield "PUT", path, {}, "identifier"
    yield "PUT", "/api/v1/customers/ann", {"email": word}, "email"
    yield "PUT", f"{path}/devices", {"device": DEVICE}, "identifier"
    yield "POST", f"{path}/events", {"name": "bought"}, "identifier"
    yield "POST", "/api/v1/forms/f/submit", {"data": {"id": word}}, "data.id"
    yield "POST", "/api/v1/forms/f/submit", {"data": {"email": word}}, "data.email"
    for kind in ("id", "email"):
        field = f"identifiers.{kind}"
        for item in (
            _person("identify", kind, word),
            _person("add_device", kind, word, device=DEVICE),
            _person("event", kind, word, name="bought"),
            _person("page", kind, word, name="home"),
        ):
            yield "POST", "/api/v2/entity", item, field
            yield "POST", "/api/v2/batch", {"batch": [item]}, field
        yield (
            "POST",
            "/v1/send/push",
            {"identifiers": {kind: word}, "title": "t", "message": "m", "custom_device": DEVICE},
            field,
        )
    yield (
        "POST",
        "/api/v2/entity",
        _person("identify", "id", "ann", attributes={"email": word}),
        "attributes.email",
    )
    for item, field in (
        ({"type": "identify", "userId": word, "traits": {"plan": "pro"}}, "userId"),
        ({"type": "identify", "traits": {"email": word}}, "traits.email"),
        ({**CREATED, "userId": word, **PHONE}, "userId"),
        ({"type": "track", "event": "bought", "userId": word, "properties": {}}, "userId"),
        ({"type": "page", "name": "home", "userId": word}, "userId"),
        ({"type": "screen", "name": "home", "userId": word}, "userId"),
        ({"type": "alias", "userId": word, "previousId": "anonymous-1"}, "userId"),
    ):
        yield "POST", f"/v1/{item['type']}", {"writeKey": door.keys.write_key, **item}, field
        yield "POST", "/v1/batch", {"writeKey": door.keys.write_key, "batch": [item]}, field


async def call(door: Any, method: str, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    key = "" if "writeKey" in (body or {}) else door.bearer if path.startswith("/v1/send") else door.basic
    known = {"authorization": key} if key else {}
    data = None if body is None else json.dumps(body).encode()
    status, answer, _ = await door.raw(method, path, data, **known, **headers)
    assert status < 500, (method, path)
    return status, json.loads(answer or b"{}")


async def known(door: Any) -> tuple[int, int, int]:
    """How many people, devices, and devices of nobody there are."""
    return tuple(
        [
            await door.database.value(
                f"select count(*) from {table} where workspace_id = $1", door.workspace_id
            )
            for table in ("people", "devices", "anonymous_devices")
        ]
    )


@pytest.mark.parametrize("word", WORDS)
async def test_a_placeholder_makes_nobody_and_is_refused_by_its_field(sender: Any, word: str) -> None:
    for method, path, body, field in makers(sender, word):
        if word.strip() == "null" and field == "userId":
            continue  # what SDKs send for an unknown user
        status, answer = await call(sender, method, path, body, **{"x-strict-mode": "1"})
        assert status in {207, 400}, (path, body)
        assert field in json.dumps(answer), (path, body)
    assert await known(sender) == (0, 0, 0)


async def test_of_a_batch_the_item_with_a_placeholder_alone_is_dropped(sender: Any) -> None:
    batch = [{**CREATED, "userId": user, **PHONE} for user in ("undefined", "ann")]
    body = {"writeKey": sender.keys.write_key, "batch": batch}
    status, answer = await call(sender, "POST", "/v1/batch", body)
    assert (status, [error["field"] for error in answer["errors"]]) == (200, ["userId"])
    operations = [_person("identify", "id", one) for one in ("None", "ben", "0")]
    status, answer = await call(sender, "POST", "/api/v2/batch", {"batch": operations})
    assert (status, [error["batch_index"] for error in answer["errors"]]) == (207, [0, 2])
    assert await known(sender) == (2, 1, 0)


async def test_a_segment_takes_no_placeholder(sender: Any) -> None:
    _, answer = await sender.app("POST", "/v1/segments", {"segment": {"name": "friends"}})
    path = f"/api/v1/segments/{answer['segment']['id']}/add_customers"
    status, answer = await call(sender, "POST", path, {"ids": ["ann", "undefined"]})
    assert (status, answer["meta"]["errors"][0].startswith("ids:")) == (400, True)
    assert await known(sender) == (0, 0, 0)
    assert (await call(sender, "POST", path, {"ids": ["ann"]}))[0] == 200


async def test_a_placeholder_as_the_email_of_a_known_user_is_dropped_alone(sender: Any) -> None:
    item = {"type": "identify", "userId": "ann", "traits": {"email": "undefined", "plan": "pro"}}
    body = {"writeKey": sender.keys.write_key, "batch": [item]}
    status, answer = await call(sender, "POST", "/v1/batch", body)
    assert (status, [error["field"] for error in answer["errors"]]) == (200, ["traits.email"])
    ann = await sender.person("ann")
    assert (ann["attributes"]["plan"], ann["identifiers"]["email"]) == ("pro", None)


@pytest.mark.parametrize("word", FINE)
async def test_an_id_that_only_looks_like_one_makes_its_person(sender: Any, word: str) -> None:
    status, _ = await call(sender, "PUT", f"/api/v1/customers/{quote(word)}/devices", {"device": DEVICE})
    assert (status, await known(sender)) == (200, (1, 1, 0))


async def test_a_workspace_may_allow_them(sender: Any) -> None:
    assert (await call(sender, "PUT", "/api/v1/customers/0", {}))[0] == 400
    status, answer = await sender.app("PATCH", "/api/v1/options", {"allow_placeholder_ids": True})
    assert (status, answer["options"]["allow_placeholder_ids"]) == (200, True)
    for number, (method, path, body, _) in enumerate(makers(sender, "0")):
        assert (await call(sender, method, path, body, **{"x-strict-mode": "1"}))[0] in {200, 204}, (
            number,
            path,
        )
    assert (await sender.person("0"))["identifiers"]["id"] == "0"


async def test_somebody_who_was_made_by_one_can_be_read_and_deleted(sender: Any) -> None:
    await sender.app("PATCH", "/api/v1/options", {"allow_placeholder_ids": True})
    for user in ("undefined", "0"):
        await call(sender, "PUT", f"/api/v1/customers/{user}/devices", {"device": {**DEVICE, "id": user * 9}})
    await sender.app("PATCH", "/api/v1/options", {"allow_placeholder_ids": False})
    assert (await sender.person("undefined"))["devices"]
    assert (await call(sender, "DELETE", f"/api/v1/customers/undefined/devices/{'undefined' * 9}", None))[
        0
    ] == 200
    assert not (await sender.person("undefined"))["devices"]
    assert (await call(sender, "DELETE", "/api/v1/customers/undefined", None))[0] == 200
    assert (await call(sender, "POST", "/api/v2/entity", _person("delete", "id", "0")))[0] == 200
    assert await known(sender) == (0, 0, 0)


@pytest.mark.parametrize(
    "word", ["undefined", "(null)", "00000000-0000-0000-0000-000000000000", "[object Object]"]
)
async def test_a_placeholder_as_an_anonymous_id_ties_nothing(sender: Any, word: str) -> None:
    async def sdk(item: dict[str, Any]) -> None:
        body = {"writeKey": sender.keys.write_key, "batch": [{"anonymousId": word, **item}]}
        assert (await call(sender, "POST", "/v1/batch", body))[0] == 200

    await sdk({**CREATED, **PHONE})
    await sdk({"type": "track", "event": "seen", "properties": {}})
    await call(sender, "POST", "/api/v1/events", {"name": "seen", "anonymous_id": word})
    await sdk({"type": "identify", "userId": "ann", "traits": {}})
    await call(sender, "PUT", "/api/v1/customers/ben", {"anonymous_id": word})
    assert await known(sender) == (2, 0, 0)
    tied = await sender.database.value(
        "select count(*) from events where workspace_id = $1 and (person_id is not null or anonymous_id is not null)",
        sender.workspace_id,
    )
    assert tied == 0


async def test_no_documented_call_makes_a_person_by_a_placeholder(sender: Any) -> None:
    """Whatever field of whatever call: nobody is known by the word afterwards."""
    tried = 0
    for route, samples in SAMPLES.items():
        method, path = route.split()
        if path == "/api/v1/options":
            continue
        for sample in samples:
            for place, _ in places(sample):
                name = str(place[-1]) if place else ""
                if name.lower() not in {
                    "id",
                    "email",
                    "userid",
                    "previousid",
                    "ids",
                    "emails",
                    "anonymousid",
                }:
                    continue
                body = json.dumps(with_value(sample, place, "undefined")).encode()
                status, *_ = await sender.raw(method, filled(path), body, **key_of(route, sender.keys))
                assert status < 500
                tried += 1
    assert tried > 20
    found = await sender.database.value(
        "select count(*) from identifiers where workspace_id = $1 and key = 'undefined'", sender.workspace_id
    )
    assert found == 0
