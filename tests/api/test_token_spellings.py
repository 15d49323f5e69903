"""One phone, however its token is written: at every call that registers it, looks for it or deletes it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.placeholders import PLACEHOLDERS
from support.examples import examples
from support.spellings import HEX_TOKENS, spelled

if TYPE_CHECKING:
    from collections.abc import Callable

FCM = "cEu4nQyTRk2hYh9yV5jE-x:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx"
CREATED, DELETED = "Device Created or Updated", "Device Deleted"
IMPOSSIBLE = (*PLACEHOLDERS, "0" * 64, "BLACKLISTED", "two words", "<abc>", "{length = 32, bytes = 0x1e21 }")


def _track(door: Any, event: str, person: str, token: str, *, shared: bool = False) -> tuple[str, str, Any]:
    context = {"context": {"device": {"type": "ios", "token": token}}}
    item = {"type": "track", "event": event, "userId": person, "properties": {}}
    if shared:
        return "POST", "/v1/batch", {"writeKey": door.keys.write_key, "batch": [item], **context}
    return "POST", "/v1/track", {"writeKey": door.keys.write_key, **item, **context}


def _v2(action: str, person: str, token: str) -> dict[str, Any]:
    device = {"token": token, "platform": "ios"}
    return {"type": "person", "action": action, "identifiers": {"id": person}, "device": device}


# Each: of a door, a person and a token the method, the path and the body; and the field that names the token.
REGISTRATIONS: dict[str, tuple[Callable[[Any, str, str], tuple[str, str, Any]], str]] = {
    "track v1": (
        lambda _, p, t: ("PUT", f"/api/v1/customers/{p}/devices", {"device": {"id": t, "platform": "ios"}}),
        "device.id",
    ),
    "track v2": (lambda _, p, t: ("POST", "/api/v2/entity", _v2("add_device", p, t)), "device.token"),
    "track v2 batch": (
        lambda _, p, t: ("POST", "/api/v2/batch", {"batch": [_v2("add_device", p, t)]}),
        "device.token",
    ),
    "cdp": (lambda door, p, t: _track(door, CREATED, p, t), "context.device.token"),
    "cdp batch": (lambda door, p, t: _track(door, CREATED, p, t, shared=True), "context.device.token"),
    "custom_device": (
        lambda _, p, t: (
            "POST",
            "/v1/send/push",
            {
                "identifiers": {"id": p},
                "title": "t",
                "message": "m",
                "custom_device": {"token": t, "platform": "ios"},
            },
        ),
        "custom_device.token",
    ),
}
DELETIONS: dict[str, Callable[[Any, str, str], tuple[str, str, Any]]] = {
    "track v1": lambda _, p, t: ("DELETE", f"/api/v1/customers/{p}/devices/{quote(t, safe='')}", None),
    "track v2": lambda _, p, t: ("POST", "/api/v2/entity", _v2("delete_device", p, t)),
    "cdp": lambda door, p, t: _track(door, DELETED, p, t),
}


async def call(door: Any, request: tuple[str, str, Any], **headers: str) -> tuple[int, Any]:
    method, path, body = request
    key = door.bearer if path.startswith("/v1/send") else door.basic
    data = None if body is None else json.dumps(body).encode()
    known = {} if path in {"/v1/batch", "/v1/track"} else {"authorization": key}
    status, answer, _ = await door.raw(method, path, data, **known, **headers)
    return status, json.loads(answer)


async def owners(door: Any) -> list[tuple[str, str]]:
    rows = await door.database.rows(
        "select d.token, i.value from devices d join identifiers i using (workspace_id, person_id) "
        "where d.workspace_id = $1 and i.kind = 'id' order by 1, 2",
        door.workspace_id,
    )
    return [(row["token"], row["value"]) for row in rows]


@st.composite
def lives(draw: st.DrawFn) -> tuple[str, list[tuple[str, str, str]], str, tuple[str, str]]:
    """A token, who registers it by which call in which spelling, the spelling that it is read by, and how it is deleted."""
    token = draw(HEX_TOKENS)
    told = st.tuples(st.sampled_from(sorted(REGISTRATIONS)), st.sampled_from("ab"), spelled(token))
    deletion = st.tuples(st.sampled_from(sorted(DELETIONS)), spelled(token))
    return token, draw(st.lists(told, min_size=2, max_size=4)), draw(spelled(token)), draw(deletion)


async def test_all_spellings_of_a_token_are_one_device_of_its_last_owner(sender: Any) -> None:
    async def check(
        token: str, told: list[tuple[str, str, str]], read_by: str, deletion: tuple[str, str]
    ) -> None:
        for name, person, spelling in told:
            request = REGISTRATIONS[name][0](sender, person, spelling)
            assert (await call(sender, request))[0] == 200, request
        last = told[-1][1]
        assert await owners(sender) == [(token, last)]
        status, found = await sender.app("GET", f"/api/v1/devices/{quote(read_by, safe='')}")
        assert (status, found["token"]) == (200, token)
        assert (await call(sender, DELETIONS[deletion[0]](sender, last, deletion[1])))[0] == 200
        assert await owners(sender) == []

    loop = asyncio.get_running_loop()

    @settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
    @given(life=lives())
    def checked(life: tuple[str, list[tuple[str, str, str]], str, tuple[str, str]]) -> None:
        asyncio.run_coroutine_threadsafe(check(*life), loop).result(60)

    await asyncio.to_thread(checked)


@pytest.mark.parametrize("registers", REGISTRATIONS)
@pytest.mark.parametrize("deletes", DELETIONS)
async def test_blanks_around_any_token_are_taken_off(sender: Any, registers: str, deletes: str) -> None:
    assert (await call(sender, REGISTRATIONS[registers][0](sender, "ann", f"\t{FCM} \n")))[0] == 200
    assert await owners(sender) == [(FCM, "ann")]
    assert (await call(sender, DELETIONS[deletes](sender, "ann", f" {FCM}")))[0] == 200
    assert await owners(sender) == []


@pytest.mark.parametrize("registers", REGISTRATIONS)
async def test_what_cannot_be_a_token_is_refused_by_its_field(sender: Any, registers: str) -> None:
    request, field = REGISTRATIONS[registers]
    for token in IMPOSSIBLE:
        status, answer = await call(sender, request(sender, "ann", token), **{"x-strict-mode": "1"})
        assert status in {207, 400}, token
        assert field in json.dumps(answer)
        forgiving = 200 if registers.startswith("cdp") else status
        assert (await call(sender, request(sender, "ann", token)))[0] == forgiving
    assert await owners(sender) == []


async def test_a_spelling_is_found_wherever_a_token_is_asked_for(sender: Any) -> None:
    token, other = "1e21b0c5" * 8, "<" + " ".join(["1E21B0C5"] * 8) + ">"
    await call(sender, REGISTRATIONS["track v1"][0](sender, "ann", token))
    path = f"/api/v1/devices/{quote(other, safe='')}"
    for ending in ("", "/pushes", "/history"):
        assert (await sender.app("GET", path + ending))[0] == 200
    explained = [await sender.app("GET", f"/api/v1/explain?device={quote(one)}") for one in (token, other)]
    assert explained[0][0] == 200
    assert explained[0] == explained[1]
    send = {"identifiers": {"id": "ann"}, "title": "t", "message": "m", "to": other}
    assert (await sender.app("POST", "/v1/send/push", send))[0] == 200
    broadcast = {"name": "b", "content": {"title": "t", "message": "m"}, "devices": [other], "start": False}
    assert (await sender.app("POST", "/api/v1/broadcasts", broadcast))[0] in {200, 201}


async def test_what_an_app_reports_under_any_spelling_is_of_its_device(sender: Any) -> None:
    token, other = "1e21b0c5" * 8, "1E21B0C5-" * 7 + "1E21B0C5"
    await call(sender, REGISTRATIONS["track v1"][0](sender, "ann", token))
    send = {"identifiers": {"id": "ann"}, "title": "t", "message": "m"}
    _, queued = await sender.app("POST", "/v1/send/push", send)
    delivery = queued["delivery_id"]
    properties = {"deliveryId": delivery, "metric": "clicked", "recipient": other}
    reported = {"type": "track", "event": "Report Delivery Event", "userId": "ann", "properties": properties}
    for path, body in (
        ("/api/v1/metrics", {"delivery_id": delivery, "metric": "delivered", "recipient": other}),
        ("/push/events", {"delivery_id": delivery, "event": "opened", "device_id": other}),
        ("/v1/track", {"writeKey": sender.keys.write_key, **reported}),
    ):
        assert (await sender.raw("POST", path, json.dumps(body).encode()))[0] == 200
    rows = await sender.database.rows(
        "select r.metric, d.token from reports r left join devices d using (workspace_id, device_id) "
        "where r.workspace_id = $1 order by 1",
        sender.workspace_id,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("clicked", token),
        ("delivered", token),
        ("opened", token),
    ]


async def test_what_was_registered_before_tokens_were_checked_can_be_deleted(sender: Any) -> None:
    await sender.track("PUT", "/api/v1/customers/ann", {})
    await sender.database.rows(
        "insert into devices (device_id, workspace_id, person_id, token, platform) "
        "select token_device($1, '(null)'), $1, person_id, '(null)', 'ios' from identifiers "
        "where workspace_id = $1 and value = 'ann'",
        sender.workspace_id,
    )
    for deletes in DELETIONS.values():
        assert (await call(sender, deletes(sender, "ann", "(null)")))[0] == 200
    assert await owners(sender) == []
