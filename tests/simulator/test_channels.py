"""Apple's broadcast channels: managed, pushed to, and refused in Apple's words."""

from __future__ import annotations

import json

import pytest

APP = "com.example.app"
CHANNELS = f"/1/apps/{APP}/channels"
BROADCAST = f"/4/broadcasts/apps/{APP}"
ACTIVITY = {"message-storage-policy": 1, "push-type": "LiveActivity"}
UPDATE = b'{"aps":{"event":"update","content-state":{}}}'


async def ask(desk, method, path, *headers, body=b"", **more):
    client = await desk.connect(more.pop("url", desk.simulator.apns_url), more.pop("certificate", None))
    return await client.ask(path, desk.apple_headers(*headers), body, method=method)


async def create(desk, **changes):
    return await ask(desk, "POST", CHANNELS, body=json.dumps({**ACTIVITY, **changes}).encode())


def broadcast(desk, *headers, path=BROADCAST, **more):
    given = {"apns-push-type": "liveactivity", "apns-expiration": "0", **dict(headers)}
    lines = [(name, value) for name, value in given.items() if value is not None]
    return ask(desk, "POST", path, *lines, body=more.pop("body", UPDATE), **more)


async def test_a_channel_is_made_read_listed_pushed_to_and_deleted(desk):
    made = await create(desk)
    channel = ("apns-channel-id", made.headers["apns-channel-id"])
    assert made.status == 201
    read = await ask(desk, "GET", CHANNELS, channel, ("apns-request-id", "mine"))
    assert (read.status, read.json, read.headers["apns-request-id"]) == (200, ACTIVITY, "mine")
    assert (await ask(desk, "GET", f"/1/apps/{APP}/all-channels")).json == {"channels": [channel[1]]}
    pushed = await broadcast(desk, channel)
    assert (pushed.status, pushed.body) == (200, b"")
    assert pushed.headers["apns-unique-id"]
    assert (await ask(desk, "DELETE", CHANNELS, channel)).status == 204
    gone = await broadcast(desk, channel)
    assert (gone.status, gone.json) == (400, {"reason": "ChannelNotRegistered"})


async def test_a_channel_is_taken_as_node_apn_writes_it(desk):
    made = await create(desk, **{"push-type": "liveactivity", "message-storage-policy": "1"})
    read = await ask(desk, "GET", CHANNELS, ("apns-channel-id", made.headers["apns-channel-id"]))
    assert (made.status, read.json) == (201, ACTIVITY)


async def test_a_channel_is_of_one_app_and_one_environment(desk):
    channel = ("apns-channel-id", (await create(desk)).headers["apns-channel-id"])
    other = await broadcast(desk, channel, path="/4/broadcasts/apps/com.example.other")
    assert other.json == {"reason": "ChannelNotRegistered"}
    sandbox = await broadcast(desk, channel, url=desk.simulator.apns_sandbox_url)
    assert sandbox.json == {"reason": "ChannelNotRegistered"}
    desk.simulator.world.reset()
    assert (await broadcast(desk, channel)).json == {"reason": "ChannelNotRegistered"}


# A header of a broadcast, and the reason that it is refused with.
REFUSED = [
    (("apns-channel-id", None), "MissingChannelId"),
    (("apns-channel-id", "no base64!"), "BadChannelId"),
    (("apns-channel-id", "c2hvcnQ="), "BadChannelId"),
    (("apns-channel-id", "AAAAAAAAAAAAAAAAAAAAAA=="), "ChannelNotRegistered"),
    (("apns-push-type", None), "MissingPushType"),
    (("apns-push-type", "alert"), "InvalidPushType"),
    (("apns-expiration", "soon"), "BadExpirationDate"),
    (("apns-priority", "7"), "BadPriority"),
]


@pytest.mark.parametrize(("header", "reason"), REFUSED)
async def test_a_wrong_broadcast_is_refused_with_its_reason(desk, header, reason):
    channel = ("apns-channel-id", (await create(desk)).headers["apns-channel-id"])
    answer = await broadcast(desk, channel, header)
    assert (answer.status, answer.json) == (400, {"reason": reason})


@pytest.mark.parametrize(("body", "status"), [(b"", 400), (b"[]", 400), (b'{"a":"%s"}' % (b"x" * 5200), 413)])
async def test_a_broadcast_has_a_payload_of_at_most_five_kilobytes(desk, body, status):
    channel = ("apns-channel-id", (await create(desk)).headers["apns-channel-id"])
    assert (await broadcast(desk, channel, body=body)).status == status


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"push-type": "alert"}, "InvalidPushType"),
        ({"message-storage-policy": 7}, "CannotCreateChannelConfig"),
    ],
)
async def test_a_wrong_channel_is_not_made(desk, changes, reason):
    assert (await create(desk, **changes)).json == {"reason": reason}
    missing = await ask(desk, "POST", CHANNELS, body=b'{"message-storage-policy":0}')
    assert missing.json == {"reason": "MissingPushType"}
    assert (await ask(desk, "GET", f"/1/apps/{APP}/all-channels")).json == {"channels": []}


async def test_who_may_not_push_may_not_manage_either(desk):
    wrong = ("authorization", "bearer nonsense")
    answer = await ask(desk, "GET", f"/1/apps/{APP}/all-channels", wrong)
    assert (answer.status, answer.json) == (403, {"reason": "InvalidProviderToken"})
    certified = await ask(
        desk,
        "GET",
        "/1/apps/com.example.other/all-channels",
        certificate=desk.simulator.client_certificate_file,
    )
    assert certified.json == {"reason": "TopicMismatch"}
    assert (await ask(desk, "PUT", CHANNELS)).status == 405
    assert (await ask(desk, "POST", f"/1/apps/{APP}/other")).json == {"reason": "BadPath"}
