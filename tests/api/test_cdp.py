"""Customer.io's Data Pipelines API: what SDKs send, in the order in which they send it."""

import gzip
import json
import secrets
from base64 import b64encode
from datetime import UTC, datetime

import pytest

TOKEN = "device-token-of-a-phone"
CREATED, DELETED = "Device Created or Updated", "Device Deleted"


def track(event, *, user=None, anonymous="a1", token=TOKEN, kind="android", **more):
    return {
        "type": "track",
        "event": event,
        **({} if user is None else {"userId": user}),
        "anonymousId": anonymous,
        "messageId": secrets.token_hex(8),
        "timestamp": "2026-10-01T10:00:00.000Z",
        "properties": {},
        "context": {"device": {"type": kind, "token": token}},
        "integrations": {},
        **more,
    }


def identify(user, *, anonymous="a1", **traits):
    return {
        "type": "identify",
        "userId": user,
        "anonymousId": anonymous,
        "messageId": secrets.token_hex(8),
        "traits": traits,
        "context": {"device": {"type": "android", "token": TOKEN}},
    }


@pytest.fixture
def sdk(door):
    """Sends batches as the SDKs do: no header of a key, the key in the body."""

    async def send(*items, key=None, path="/v1/b", **headers):
        body = {
            "writeKey": key or door.keys.write_key,
            "batch": list(items),
            "sentAt": datetime.now(UTC).isoformat(),
        }
        status, answer, _ = await door.raw("POST", path, json.dumps(body).encode(), **headers)
        return status, json.loads(answer)

    return send


async def owners(door):
    rows = await door.database.rows(
        "select d.token, i.key as person, d.status from devices d left join identifiers i "
        "on i.person_id = d.person_id and i.kind = 'id' where d.workspace_id = $1 order by d.token",
        door.workspace_id,
    )
    return {row["token"]: row["person"] for row in rows}


async def events(door):
    rows = await door.database.rows(
        "select e.kind, e.name, i.key as person from events e left join identifiers i "
        "on i.person_id = e.person_id and i.kind = 'id' where e.workspace_id = $1 order by event_id",
        door.workspace_id,
    )
    return [(row["kind"], row["name"], row["person"]) for row in rows]


# Single calls.


@pytest.mark.parametrize("path", ["/v1/identify", "/v1/i"])
@pytest.mark.parametrize("how", ["basic", "bearer", "body"])
async def test_a_person_is_identified_with_a_key_in_the_header_or_the_body(door, path, how):
    key, body = door.keys.write_key, {"userId": "42", "traits": {"email": "ann@example.com", "plan": "pro"}}
    headers = {}
    if how == "basic":
        headers["authorization"] = "Basic " + b64encode(f"{key}:".encode()).decode()
    elif how == "bearer":
        headers["authorization"] = f"Bearer {key}"
    else:
        body["writeKey"] = key
    status, answer, got = await door.raw("POST", path, json.dumps(body).encode(), **headers)
    assert (status, answer) == (200, b"{}\n")
    assert got["access-control-allow-origin"] == "*"
    found = await door.person("42")
    assert (found["identifiers"]["email"], found["attributes"]["plan"]) == ("ann@example.com", "pro")


async def test_an_empty_user_id_and_an_email_trait_is_the_person_of_the_email(door, sdk):
    await sdk({"type": "identify", "userId": "", "traits": {"email": "ann@example.com", "a": 1}})
    assert (await door.person("ann@example.com", "email"))["attributes"]["a"] == "1"


async def test_tracks_pages_and_screens_are_kept_for_their_person(door, sdk):
    await sdk(
        track("bought", user="42"),
        {"type": "page", "userId": "42", "name": "home", "properties": {"url": "https://example.com"}},
        {"type": "page", "userId": "42", "properties": {"url": "https://example.com/" + "x" * 200}},
        {"type": "screen", "userId": "42", "name": "Settings"},
        {"type": "group", "userId": "42", "groupId": "g"},
    )
    found = await events(door)
    assert [(kind, name[:30]) for kind, name, _ in found] == [
        ("event", "bought"),
        ("page", "home"),
        ("page", "https://example.com/xxxxxxxxxx"),
        ("screen", "Settings"),
    ]
    assert {person for _, _, person in found} == {"42"}


# What SDKs send (customerio.md 9.3), one after the other on one phone.


@pytest.mark.parametrize("kind", ["ios", "android"])
async def test_a_phones_life(door, sdk, kind):
    def created(user=None, anonymous="a1", token=TOKEN, **properties):
        return track(CREATED, user=user, anonymous=anonymous, token=token, kind=kind, properties=properties)

    def deleted(user=None, anonymous="a1", token=TOKEN):
        return track(DELETED, user=user, anonymous=anonymous, token=token, kind=kind)

    # First start: a token, and nobody yet.
    await sdk(created(push_enabled=True, device_os=34))
    assert await owners(door) == {}
    # Log-in: the person, then the device.
    await sdk(identify("ann"), created("ann", push_enabled="true"))
    assert await owners(door) == {TOKEN: "ann"}
    # Another user on the same phone, without logging out.
    await sdk(deleted("ann"), identify("ben"), created("ben"))
    assert await owners(door) == {TOKEN: "ben"}
    # A new token.
    await sdk(deleted("ben"), created("ben", token="another-token"))
    assert await owners(door) == {"another-token": "ben"}
    # Logging out, and what the next start says while nobody is there.
    await sdk(deleted("ben", token="another-token"), created(anonymous="a2", token="another-token"))
    assert await owners(door) == {}
    # Logging out while nobody is logged in: iOS sends no user, Android the word null.
    await sdk(deleted("null" if kind == "android" else None, anonymous="a2", token="another-token"))
    assert (await door.counts())["people"] == 2, "nobody is called null"
    # Log-in after log-out.
    await sdk(identify("ann", anonymous="a2"), created("ann", anonymous="a2", token="another-token"))
    assert await owners(door) == {"another-token": "ann"}


async def test_an_anonymous_device_goes_to_the_identifying_person_and_is_not_sent_to_before(door, sdk):
    await sdk(track(CREATED, properties={"device_os": 34, "push_enabled": True}))
    assert (await door.counts())["devices"] == 0
    await sdk(identify("ann"))
    assert await owners(door) == {TOKEN: "ann"}
    [device] = (await door.person("ann"))["devices"]
    assert (device["attributes"]["device_os"], device["attributes"]["push_enabled"]) == ("34", "true")
    assert device["attributes"]["_last_status"] == ""


async def test_an_old_sdks_tasks_are_replayed_with_the_device_alone(door, sdk):
    replayed = {
        "type": "track",
        "event": CREATED,
        "userId": "42",
        "timestamp": "2023-01-01T00:00:00Z",
        "context": {"device": {"token": TOKEN, "type": "ios"}},
        "properties": {},
    }
    await sdk(replayed)
    [device] = (await door.person("42"))["devices"]
    assert device["platform"] == "ios"
    assert 1_672_531_200 <= device["last_used"] < 1_672_531_260


async def test_a_token_in_the_context_of_another_event_changes_no_device(door, sdk):
    await sdk(track("bought", user="42"), identify("42"))
    assert (await door.counts())["devices"] == 0


async def test_a_device_among_the_properties_is_taken_too(door, sdk):
    told = {
        "type": "track",
        "event": CREATED,
        "userId": "42",
        "properties": {"device": {"token": "t", "type": "ios"}},
    }
    await sdk(told)
    assert await owners(door) == {"t": "42"}


async def test_a_batch_that_is_sent_again_changes_nothing(door, sdk):
    login = [identify("ann"), track(CREATED, user="ann"), track("bought", user="ann")]
    await sdk(*login)
    await sdk(track(DELETED, user="ann"))
    assert await sdk(*login) == (200, {})
    assert await owners(door) == {}
    assert [name for _, name, _ in await events(door)] == ["bought"]


async def test_anonymous_events_are_the_persons_who_identifies(door, sdk):
    await sdk(track("looked"), track("bought"), track("elsewhere", anonymous="a9"))
    await sdk(identify("ann"))
    assert [(name, person) for _, name, person in await events(door)] == [
        ("looked", "ann"),
        ("bought", "ann"),
        ("elsewhere", None),
    ]


async def test_users_are_suppressed_deleted_and_aliased(door, sdk):
    await sdk(identify("ann"), track("User Deleted", user="ann"))
    assert (await door.counts())["people"] == 0
    await sdk(track("User Suppressed", user="ann"), identify("ann"))
    assert (await door.counts())["people"] == 0
    await sdk(track("User Unsuppressed", user="ann"), identify("ann"))
    assert (await door.counts())["people"] == 1
    await sdk(track("looked", anonymous="former"))
    await sdk({"type": "alias", "previousId": "former", "userId": "ann"})
    assert [person for _, _, person in await events(door)] == ["ann"]


async def test_a_push_is_reported_directly_and_later_and_counts_once_and_makes_nobody(sender):
    door = sender
    await door.track("PUT", "/api/v1/customers/42/devices", {"device": {"id": TOKEN, "platform": "android"}})
    send = {"identifiers": {"id": "42"}, "title": "Hello", "message": "text"}
    delivery_id = (await door.app("POST", "/v1/send/push", send))[1]["delivery_id"]
    direct = {
        "anonymousId": delivery_id,
        "properties": {"recipient": TOKEN, "metric": "delivered", "deliveryId": delivery_id},
        "event": "Report Delivery Event",
    }
    basic = "Basic " + b64encode(f"{door.keys.write_key}:".encode()).decode()
    status, _, _ = await door.raw("POST", "/v1/track", json.dumps(direct).encode(), authorization=basic)
    assert status == 200
    later = {"writeKey": door.keys.write_key, "batch": [{**direct, "type": "track", "messageId": "m"}]}
    assert (await door.raw("POST", "/v1/b", json.dumps(later).encode()))[0] == 200
    count = await door.database.value(
        "select count(*) from reports where workspace_id = $1", door.workspace_id
    )
    assert (count, (await door.counts())["people"]) == (1, 1)
    assert "delivered" in (await door.app("GET", f"/v1/messages/{delivery_id}"))[1]["message"]["metrics"]


# The wire.


async def test_a_body_may_be_zipped_chunked_and_said_to_be_text(door):
    body = {"writeKey": door.keys.write_key, "batch": [track(CREATED, user="42")]}
    zipped = gzip.compress(json.dumps(body).encode())
    headers = {"content-encoding": "gzip", "content-type": "text/plain"}
    status, answer, _ = await door.raw("POST", "/v1/b", iter([zipped[:20], zipped[20:]]), **headers)
    assert (status, answer) == (200, b"{}\n")
    assert await owners(door) == {TOKEN: "42"}


async def test_an_sdk_is_told_its_settings_and_a_stranger_nothing(door):
    status, answer, headers = await door.raw("GET", f"/v1/projects/{door.keys.write_key}/settings")
    ours = json.loads(answer)["integrations"]["Customer.io Data Pipelines"]
    assert (status, ours["apiKey"]) == (200, door.keys.write_key)
    assert (ours["apiHost"], ours["protocol"]) == ("push.example.com/v1", "http")
    assert headers["access-control-allow-origin"] == "*"
    assert (await door.raw("GET", "/v1/projects/nobodys/settings"))[0] == 404


async def test_a_browser_may_ask_before_it_sends(door):
    status, _, headers = await door.raw("OPTIONS", "/v1/b", origin="https://example.com")
    assert status == 204
    assert "POST" in headers["access-control-allow-methods"]
    assert "content-type" in headers["access-control-allow-headers"]


# What is wrong.

BAD = [
    {},
    "no item",
    {"type": "dance"},
    {"type": "track", "userId": "42"},
    {"type": "track", "event": "nobody's"},
    {"type": "track", "event": CREATED, "userId": "42", "context": {"device": {"type": "ios"}}},
    {"type": "track", "event": CREATED, "userId": "42", "context": {"device": {"token": "t"}}},
    {"type": "track", "event": "n", "userId": "42", "properties": {"a": "b" * 40_000}},
    {"type": "track", "event": "n", "userId": "4" * 151},
    {"type": "track", "event": "n", "userId": "42", "properties": []},
    {"type": "identify", "userId": ["42"]},
    {"type": "identify", "traits": {"email": "e" * 151}},
]


@pytest.mark.parametrize("item", BAD)
async def test_a_bad_item_is_dropped_and_the_rest_of_its_batch_is_kept(door, sdk, item):
    status, answer = await sdk(track(CREATED, user="ann"), item, track("bought", user="ann"))
    assert status == 200
    [error] = answer["errors"]
    assert (error["batch_index"], set(error)) == (1, {"batch_index", "reason", "field", "message"})
    assert await owners(door) == {TOKEN: "ann"}
    assert [name for _, name, _ in await events(door)] == ["bought"]
    assert (await door.counts())["people"] == 1


@pytest.mark.parametrize("item", BAD)
async def test_who_asks_for_strictness_hears_what_is_wrong(door, sdk, item):
    status, answer = await sdk(item, **{"x-strict-mode": "1"})
    assert status == 400
    assert set(answer) >= {"code", "message"}


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[]", b"\x1f\x8bnonsense", b'{"a": NaN}', b'{"a": "\xe9"}', b'{"batch": []}']
)
async def test_a_body_that_is_none_is_dropped_or_refused_by_strictness(door, body):
    status, answer, _ = await door.raw("POST", "/v1/b", body)
    [error] = json.loads(answer)["errors"]
    assert (status, set(error)) == (200, {"reason", "field", "message"})
    status, answer, _ = await door.raw("POST", "/v1/b", body, **{"x-strict-mode": "1"})
    assert status in {400, 401}
    assert set(json.loads(answer)) >= {"code", "message"}


async def test_a_wrong_key_writes_nothing_and_is_told_by_strictness(door, sdk):
    status, answer = await sdk(track(CREATED, user="ann"), key="nobodys")
    assert (status, answer["errors"][0]["reason"]) == (200, "unauthorized")
    assert (await sdk(track(CREATED, user="ann"), key="nobodys", **{"x-strict-mode": "1"}))[0] == 401
    assert not any((await door.counts()).values())


async def test_a_body_of_over_a_megabyte_is_refused_so_that_sdks_drop_it(door):
    status, answer, _ = await door.raw("POST", "/v1/b", b" " * 1_000_001)
    assert (status, set(json.loads(answer))) == (400, {"code", "message", "field"})


async def test_too_large_a_batch_is_dropped_or_refused_by_strictness(door, sdk):
    items = [track("n", user="42", properties={"a": "b" * 30_000}) for _ in range(20)]
    status, answer = await sdk(*items)
    assert (status, answer["errors"][0]["reason"]) == (200, "too_large")
    assert (await sdk(*items, **{"x-strict-mode": "1"}))[0] == 400
    assert await events(door) == []


async def test_what_a_batch_is_unpacked_to_is_counted_and_may_be_sent_again(narrow_door):
    for padding, expected in ((450_000, 503), (200_000, 200)):
        body = json.dumps({"writeKey": narrow_door.keys.write_key, "batch": [], "pad": " " * padding})
        status, answer, headers = await narrow_door.raw("POST", "/v1/b", gzip.compress(body.encode()))
        assert status == expected, answer
        assert (headers.get("retry-after") == "2") == (expected == 503)
