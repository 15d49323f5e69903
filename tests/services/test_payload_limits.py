"""How large a push may be: measured for the services and platforms that it is really for, and again when it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pushkeeper.core.model import Content, Platform
from pushkeeper.providers.apns import message as apns
from pushkeeper.providers.fcm import message as fcm
from pushkeeper.simulator import fcm_message

if TYPE_CHECKING:
    from support.engine import Tenant

LIMIT = 4_096
# Fits on Android, where text is counted alone, and not on an iPhone, where it is counted as JSON.
ANDROID_ALONE = "\n" * 2_500


def test_the_text_is_what_it_is_meant_to_be() -> None:
    content = Content(title="Hello", message=ANDROID_ALONE)
    assert fcm.size_bytes(content, Platform.ANDROID) < LIMIT
    assert min(fcm.size_bytes(content, Platform.IOS), apns.size_bytes(content)) > LIMIT


async def test_a_text_is_measured_for_the_platforms_that_it_is_for(bare: Tenant) -> None:
    await bare.add_fcm()
    await bare.add_apns()
    [android], [iphone] = bare.mint("android"), bare.mint("ios")
    await bare.register("ann", android, "android")
    await bare.register("ann", iphone, "ios")
    body = {"identifiers": {"id": "ann"}, "title": "Hello", "message": ANDROID_ALONE}
    for more in ({}, {"platform": "ios"}, {"to": iphone}):
        refused = await bare.call("POST", "/v1/send/push", {**body, **more}, expect=400)
        assert "message" in refused["meta"]["error"]
        assert "bytes" in refused["meta"]["error"]
    for more in ({"platform": "android"}, {"to": android}):
        await bare.call("POST", "/v1/send/push", {**body, **more})
    await bare.settled(3)  # two were sent, and one skipped as of the other platform
    assert [entry.status for entry in bare.asked(android)] == [200, 200]
    assert bare.asked(iphone) == []


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("platform = android", True),
        ("platform = android and person.plan = pro", True),
        ("not platform = ios", True),
        ("not (platform = ios or person.plan = pro)", True),
        ("platform = ios", False),
        ("person.plan = pro", False),
        ("platform = android or person.plan = pro", False),
        ("", False),
    ],
)
async def test_a_broadcast_is_measured_for_the_platforms_of_its_audience(
    tenant: Tenant, text: str, *, fits: bool
) -> None:
    body: dict[str, Any] = {
        "name": "long",
        "content": {"title": "Hello", "message": ANDROID_ALONE},
        "audience": {"filter": text or "everybody"},
    }
    answer = await tenant.call("POST", "/api/v1/broadcasts", body, expect=201 if fits else 400)
    if not fits:
        assert answer["error"]["field"] == "content.message"
    people = {**body, "audience": {**body["audience"], "unit": "person"}}
    await tenant.call("POST", "/api/v1/broadcasts", people, expect=400)


async def test_a_text_is_measured_for_the_services_that_there_are_credentials_for(bare: Tenant) -> None:
    await bare.add_apns()
    large = {"android": {"message": {"data": {"k": "x" * 5_000}}}, "ios": {"aps": {"alert": "Hello"}}}
    body = {"identifiers": {"id": "ann"}, "custom_payload": large}
    await bare.call("POST", "/v1/send/push", body)
    await bare.add_fcm()
    refused = await bare.call("POST", "/v1/send/push", body, expect=400)
    assert "custom_payload.android" in refused["meta"]["error"]


@pytest.mark.parametrize(
    ("platform", "provider"), [("ios", "apns"), ("ios", "fcm"), ("android", "fcm")], ids=str
)
@pytest.mark.parametrize("letter", ["x", "漢", "😀"])
async def test_what_liquid_makes_is_measured_to_the_byte_as_the_service_gets_it(
    bare: Tenant, platform: str, provider: str, letter: str
) -> None:
    await bare.add_apns()
    await bare.add_fcm()
    [token] = bare.mint(platform, provider=provider)
    await bare.register("ann", token, platform)
    size = await _size(bare, token, provider, letter, letters=10)
    letters = 10 + (LIMIT - size) // len(letter.encode()) - 100
    size = await _size(bare, token, provider, letter, letters=letters)
    letters, rest = letters + (LIMIT - size) // len(letter.encode()), (LIMIT - size) % len(letter.encode())
    assert await _size(bare, token, provider, letter, letters=letters, rest=rest) == LIMIT
    asked = len(bare.asked(token))
    over = await _send(bare, letter, letters=letters, rest=rest + 1)
    assert (over["metrics"].keys() & {"failed", "attempted"}) == {"failed"}
    assert f"{LIMIT + 1} bytes" in over["failure_message"]
    assert len(bare.asked(token)) == asked
    assert await bare.status(token) == "sent"


async def _send(tenant: Tenant, letter: str, *, letters: int, rest: int = 0) -> Any:
    said = {"text": letter * letters + "r" * rest}
    before = len(await tenant.pushes())
    delivery = await tenant.push("ann", message="{{ trigger.text }}", message_data=said)
    await tenant.settled(before + 1)
    return await tenant.message(delivery)


async def _size(
    tenant: Tenant, token: str, provider: str, letter: str, *, letters: int, rest: int = 0
) -> int:
    """How many bytes the service got, and took."""
    message = await _send(tenant, letter, letters=letters, rest=rest)
    assert "sent" in message["metrics"], message
    entry = tenant.asked(token)[-1]
    if provider == "apns":
        return len(entry.body)
    return fcm_message.size_bytes(msgspec.json.decode(entry.body)["message"])


async def test_a_token_that_is_longer_than_usual_counts_as_long_as_it_is(bare: Tenant) -> None:
    await bare.add_fcm()
    token = "f" * 22 + ":APA91b" + "x" * 900
    await bare.register("ann", token, "android")
    delivery = await bare.push("ann", message="m" * 3_500)
    [push] = await bare.settled(1)
    assert (push["ending"], push["reason"]) == ("failed", "too_large")
    assert "bytes" in (await bare.message(delivery))["failure_message"]
    assert bare.asked(token) == []
