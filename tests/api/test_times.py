"""A time is read, or is the time of receipt, at every API; none harms what is read back, nor its neighbours in a batch."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core import times
from pushkeeper.store import webhooks
from pushkeeper.worker.jobs.webhooks import posted_json
from support.examples import examples

PERSON = "/api/v1/customers/42"
TEN = 1_793_527_200  # 2026-11-01T10:00:00Z
WEEK_S = 7 * 86_400
CREATED = "Device Created or Updated"
ODD = [
    *(
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+03:00",
        "0001-01-01T00:00:00-06:00",
        "9999-12-31T23:59:59-14:00",
    ),
    *("1793527200000", "9" * 5000, "yesterday", "٣", " ", "infinity", "2026-02-30T00:00:00Z"),
    *(-1, 1_793_527_200_000, 10**15, 2**63, 10**400, 1e308, -62_135_596_800, True, [], {"a": 1}),
]


def is_now(seconds):
    return abs(seconds - time.time()) < 60


def iso(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()


async def delivered(sender, token="t1"):
    """A delivery to a device of 42's."""
    device = {"device": {"id": token, "platform": "android"}}
    await sender.track("PUT", f"{PERSON}/devices", device)
    body = {"identifiers": {"id": "42"}, "title": "Hello", "message": "text"}
    return (await sender.app("POST", "/v1/send/push", body))[1]["delivery_id"]


async def batch(door, *items, **more):
    body = {"writeKey": door.keys.write_key, "batch": items, **more}
    status, answer, _ = await door.raw("POST", "/v1/b", json.dumps(body).encode(), **{"x-strict-mode": "1"})
    assert status == 200, answer


def item(kind, user="42", **more):
    return {"type": kind, "userId": user, "anonymousId": "a", **more}


def of_device(token, **more):
    return item("track", event=CREATED, context={"device": {"type": "ios", "token": token}}, **more)


async def happened(door, name):
    _, found = await door.app("GET", f"/v1/customers/42/activities?type=event&name={quote(name)}")
    return [one["timestamp"] for one in found["activities"]]


async def last_used(door):
    return {device["id"]: device["last_used"] for device in (await door.person("42"))["devices"]}


# What is read, and what is the time of receipt.


@pytest.mark.parametrize("at", [TEN, float(TEN), str(TEN), f" {TEN} "])
async def test_track_apis_read_unix_seconds_as_number_or_text(sender, at):
    delivery = await delivered(sender)
    await sender.track("PUT", PERSON, {"v1": 1, "_timestamp": at})
    await sender.track(
        "PUT", f"{PERSON}/devices", {"device": {"id": "t2", "platform": "ios", "last_used": at}}
    )
    await sender.track("POST", f"{PERSON}/events", {"name": "v1", "timestamp": at})
    one = {"type": "person", "identifiers": {"id": "42"}}
    told = [
        {**one, "action": "identify", "timestamp": at, "attributes": {"v2": 1}},
        {**one, "action": "event", "name": "v2", "timestamp": at},
        {**one, "action": "add_device", "device": {"token": "t3", "platform": "ios", "last_used": at}},
    ]
    assert await sender.track("POST", "/api/v2/batch", {"batch": told}) == (200, {})
    report = {"delivery_id": delivery, "metric": "opened", "recipient": "t1", "timestamp": at}
    await sender.track("POST", "/api/v1/metrics", report)
    changed = (await sender.person("42"))["timestamps"]
    assert (changed["v1"], changed["v2"]) == (TEN, TEN)
    used = await last_used(sender)
    assert (used["t2"], used["t3"]) == (TEN, TEN)
    assert await happened(sender, "v1") + await happened(sender, "v2") == [TEN, TEN]
    assert (await sender.app("GET", f"/v1/messages/{delivery}"))[1]["message"]["metrics"]["opened"] == TEN


@pytest.mark.parametrize("at", [iso(TEN), *ODD], ids=lambda at: str(at)[:30])
async def test_track_apis_take_anything_else_as_the_time_of_receipt(sender, at):
    delivery = await delivered(sender)
    for method, path, body in (
        ("PUT", PERSON, {"v1": 1, "_timestamp": at}),
        ("PUT", f"{PERSON}/devices", {"device": {"id": "t2", "platform": "ios", "last_used": at}}),
        ("POST", f"{PERSON}/events", {"name": "v1", "timestamp": at}),
        ("POST", "/api/v1/metrics", {"delivery_id": delivery, "metric": "opened", "timestamp": at}),
        ("POST", "/push/events", {"delivery_id": delivery, "event": "clicked", "timestamp": at}),
    ):
        assert await sender.track(method, path, body) == (200, {})
    one = {"type": "person", "identifiers": {"id": "42"}}
    told = [
        {**one, "action": "identify", "timestamp": at, "attributes": {"v2": 1}},
        {**one, "action": "event", "name": "v2", "timestamp": at},
        {**one, "action": "add_device", "device": {"token": "t3", "platform": "ios", "last_used": at}},
        {"type": "delivery", "identifiers": {"id": delivery}, "name": "converted", "timestamp": at},
    ]
    assert await sender.track("POST", "/api/v2/batch", {"batch": told}) == (200, {})
    changed, used = (await sender.person("42"))["timestamps"], await last_used(sender)
    metrics = (await sender.app("GET", f"/v1/messages/{delivery}"))[1]["message"]["metrics"]
    found = [
        *(changed["v1"], changed["v2"], used["t2"], used["t3"]),
        *(await happened(sender, "v1") + await happened(sender, "v2")),
        *(metrics["opened"], metrics["clicked"], metrics["converted"]),
    ]
    assert len(found) == 9
    assert all(map(is_now, found)), found


@pytest.mark.parametrize(
    "at",
    [
        "2026-11-01T10:00:00Z",
        "2026-11-01T15:30:00.000+05:30",
        "2026-11-01T10:00:00",
        TEN * 1000,
        str(TEN * 1000),
    ],
)
async def test_data_pipelines_read_iso_8601_with_any_offset_and_milliseconds(sender, at):
    delivery = await delivered(sender)
    report = {"deliveryId": delivery, "metric": "opened", "recipient": "t1"}
    await batch(
        sender,
        item("identify", traits={"plan": "pro"}, timestamp=at),
        item("track", event="bought", timestamp=at),
        item("track", event="sold", originalTimestamp=at),
        of_device("t2", timestamp=at),
        item("track", event="Report Delivery Event", properties=report, timestamp=at),
    )
    assert (await sender.person("42"))["timestamps"]["plan"] == TEN
    assert await happened(sender, "bought") + await happened(sender, "sold") == [TEN, TEN]
    assert (await last_used(sender))["t2"] == TEN
    assert (await sender.app("GET", f"/v1/messages/{delivery}"))[1]["message"]["metrics"]["opened"] == TEN


@pytest.mark.parametrize(
    "at",
    [str(TEN), TEN, 0, *(at for at in ODD if at not in ("1793527200000", 1_793_527_200_000))],
    ids=lambda at: str(at)[:30],
)
async def test_data_pipelines_take_anything_else_as_the_time_of_receipt(sender, at):
    delivery = await delivered(sender)
    report = {"deliveryId": delivery, "metric": "opened", "recipient": "t1"}
    await batch(
        sender,
        item("identify", traits={"plan": "pro"}, timestamp=at),
        item("track", event="bought", timestamp=at),
        of_device("t2", timestamp=at),
        item("track", event="Report Delivery Event", properties=report, timestamp=at),
        sentAt=at,
    )
    found = [
        (await sender.person("42"))["timestamps"]["plan"],
        *(await happened(sender, "bought")),
        (await last_used(sender))["t2"],
        (await sender.app("GET", f"/v1/messages/{delivery}"))[1]["message"]["metrics"]["opened"],
    ]
    assert len(found) == 4
    assert all(map(is_now, found)), found


# Clocks that are wrong.


@pytest.mark.parametrize(
    "skew_s", [365 * 86_400, 3_600, 0, -365 * 86_400], ids=["a year ahead", "an hour", "right", "behind"]
)
@pytest.mark.parametrize("place", ["batch", "item"])
async def test_a_phones_clock_is_corrected_by_when_it_says_that_it_sent(sender, skew_s, place):
    now, ago_s = time.time(), 2 * 86_400  # it was offline for two days
    delivery = await delivered(sender)
    sent = {"sentAt": iso(now + skew_s)}
    at = {"timestamp": iso(now + skew_s - ago_s), **(sent if place == "item" else {})}
    report = {"deliveryId": delivery, "metric": "opened", "recipient": "t1"}
    await batch(
        sender,
        item("identify", traits={"plan": "pro"}, **at),
        item("track", event="bought", **at),
        of_device("t2", **at),
        item("track", event="Report Delivery Event", properties=report, **at),
        **(sent if place == "batch" else {}),
    )
    found = [
        (await sender.person("42"))["timestamps"]["plan"],
        *(await happened(sender, "bought")),
        (await last_used(sender))["t2"],
        (await sender.app("GET", f"/v1/messages/{delivery}"))[1]["message"]["metrics"]["opened"],
    ]
    assert len(found) == 4
    assert all(abs(at - (now - ago_s)) < 60 for at in found), found


async def test_a_timestamp_that_was_corrected_on_its_way_is_not_corrected_twice(door):
    now, ahead_s, ago_s = time.time(), 86_400, 3_600
    sent = {
        "sentAt": iso(now + ahead_s),
        "originalTimestamp": iso(now + ahead_s - ago_s),
        "timestamp": iso(now - ago_s),
    }
    await batch(door, item("track", event="relayed", **sent))
    [at] = await happened(door, "relayed")
    assert abs(at - (now - ago_s)) < 60


@pytest.mark.parametrize("sent_at", [None, "now and then", "0001-01-01T00:00:00Z", 7])
async def test_times_of_past_events_are_not_later_than_now(sender, sent_at):
    ahead = time.time() + 365 * 86_400
    delivery = await delivered(sender)
    await sender.track("PUT", PERSON, {"v1": 1, "_timestamp": int(ahead)})
    device = {"platform": "ios", "last_used": int(ahead)}
    await sender.track("PUT", f"{PERSON}/devices", {"device": {"id": "t2", **device}})
    one = {"type": "person", "identifiers": {"id": "42"}}
    told = [
        {**one, "action": "identify", "timestamp": int(ahead), "attributes": {"v2": 1}},
        {**one, "action": "add_device", "device": {"token": "t3", **device}},
        {"type": "delivery", "identifiers": {"id": delivery}, "name": "converted", "timestamp": int(ahead)},
    ]
    assert await sender.track("POST", "/api/v2/batch", {"batch": told}) == (200, {})
    report = {"deliveryId": delivery, "metric": "opened", "recipient": "t1"}
    await batch(
        sender,
        item("identify", traits={"cdp": 1}, timestamp=iso(ahead)),
        of_device("t4", timestamp=iso(ahead)),
        item("track", event="Report Delivery Event", properties=report, timestamp=iso(ahead)),
        sentAt=sent_at,
    )
    push = {
        "identifiers": {"id": "42"},
        "title": "x",
        "message": "y",
        "custom_device": {"token": "t5", **device},
    }
    assert (await sender.app("POST", "/v1/send/push", push))[0] == 200
    changed, used = (await sender.person("42"))["timestamps"], await last_used(sender)
    metrics = (await sender.app("GET", f"/v1/messages/{delivery}"))[1]["message"]["metrics"]
    found = [
        *(changed[name] for name in ("v1", "v2", "cdp")),
        *used.values(),
        metrics["opened"],
        metrics["converted"],
    ]
    assert len(found) == 10
    assert max(found) <= time.time()
    # So the last user is known.
    await sender.track("PUT", f"{PERSON}/devices", {"device": {"id": "t1", "platform": "android"}})
    used = await last_used(sender)
    assert max(used, key=used.get) == "t1"


# Our own, and what is asked: there nobody guesses.

ASKING = [
    ("GET", "/v1/messages?start_ts={}", None, "start_ts"),
    ("GET", "/v1/messages?end_ts={}", None, "end_ts"),
    ("GET", "/api/v1/devices?used_since={}", None, "used_since"),
    ("GET", "/api/v1/devices?used_before={}", None, "used_before"),
    (
        "POST",
        "/v1/send/push",
        {"identifiers": {"id": "42"}, "title": "x", "message": "y", "send_at": ...},
        "send_at",
    ),
    ("POST", "/v1/exports/deliveries", {"start": ...}, "start"),
    ("POST", "/v1/exports/deliveries", {"end": ...}, "end"),
    ("POST", "/api/v1/undo", {"since": ..., "until": iso(TEN + WEEK_S), "why": "x"}, "since"),
    ("POST", "/api/v1/undo", {"since": iso(TEN - WEEK_S), "until": ..., "why": "x"}, "until"),
    (
        "POST",
        "/api/v1/broadcasts",
        {"content": {"title": "x"}, "audience": {"filter": "everybody"}, "schedule": {"at": ...}},
        "schedule.at",
    ),
]


def with_time(value, at):
    if isinstance(value, dict):
        return {name: with_time(one, at) for name, one in value.items()}
    return at if value is ... else value


def asking(call, at):
    method, path, body, _ = call
    if body is None:
        text = at if isinstance(at, str) else json.dumps(at)
        return method, path.format(quote(text.encode("utf-8", "surrogatepass"), safe="")), None
    return method, path, with_time(body, at)


@pytest.mark.parametrize("call", ASKING, ids=lambda call: f"{call[1].partition('?')[0]} {call[3]}")
async def test_a_time_that_is_asked_for_has_any_form_or_is_refused_by_name(sender, call):
    await delivered(sender)
    for at in (TEN, str(TEN), TEN * 1000, iso(TEN), "2026-11-01T11:00:00+01:00"):
        status, answer = await sender.app(*asking(call, at))
        assert status in {200, 201}, (at, answer)
    for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "yesterday", "9" * 5000, -1, 10**15):
        status, answer = await sender.app(*asking(call, at))
        assert status == 400, at
        assert call[3] in json.dumps(answer)


# Whatever the time: no 5xx, everything is read back, and neighbours are written.

ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
AT = st.one_of(
    st.sampled_from(ODD),
    st.integers(),
    st.integers(0, 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers().map(str),
    st.datetimes(timezones=st.none() | ZONES).map(datetime.isoformat),
    st.datetimes(datetime(1, 1, 1), datetime(1, 1, 2), timezones=ZONES).map(datetime.isoformat),  # noqa: DTZ001 - the zones are given
    st.datetimes(datetime(9999, 12, 31), timezones=ZONES).map(datetime.isoformat),  # noqa: DTZ001 - the zones are given
    st.text(max_size=12),
    st.none() | st.booleans() | st.lists(st.integers(), max_size=2),
)


def telling(door, delivery, at, number):
    """Every call with a time, at all its fields, with a neighbour if it takes several."""
    report = {"deliveryId": delivery, "metric": "opened", "recipient": "t1"}
    dated = {"timestamp": at, "originalTimestamp": at, "sentAt": at}
    one = {"type": "person", "identifiers": {"id": "42"}, "timestamp": at}
    device = {"platform": "ios", "last_used": at}
    yield "PUT", PERSON, {"v1": 1, "_timestamp": at}
    yield "PUT", f"{PERSON}/devices", {"device": {"id": "t2", **device}}
    yield "POST", f"{PERSON}/events", {"name": "v1", "timestamp": at}
    yield "POST", "/api/v1/events", {"name": "v1", "timestamp": at, "anonymous_id": "a2"}
    yield "POST", "/api/v1/metrics", {"delivery_id": delivery, "metric": "clicked", "timestamp": at}
    yield "POST", "/push/events", {"delivery_id": delivery, "event": "converted", "timestamp": at}
    yield (
        "POST",
        "/api/v2/batch",
        {
            "batch": [
                {**one, "action": "identify", "attributes": {"v2": 1}},
                {**one, "action": "event", "name": "v2"},
                {**one, "action": "page", "name": "v2"},
                {**one, "action": "add_device", "device": {"token": "t3", **device}},
                {"type": "delivery", "identifiers": {"id": delivery}, "name": "delivered", "timestamp": at},
                {"type": "person", "action": "event", "identifiers": {"id": "42"}, "name": f"v2 {number}"},
            ]
        },
    )
    for each in (
        dated,
        {"timestamp": at},
        {"timestamp": iso(TEN), "sentAt": at},
        {"originalTimestamp": at, "sentAt": iso(TEN)},
    ):
        yield (
            "POST",
            "/v1/b",
            {
                "writeKey": door.keys.write_key,
                "sentAt": at,
                "batch": [
                    item("identify", traits={"cdp": 1}, **each),
                    item("track", event="cdp", **each),
                    item("screen", name="cdp", **each),
                    of_device("t4", **each),
                    {
                        "type": "track",
                        "event": CREATED,
                        "anonymousId": "a3",
                        "context": {"device": {"type": "ios", "token": "t5"}},
                        **each,
                    },
                    {"type": "identify", "userId": "43", "anonymousId": "a3", **each},
                    item("track", event="Report Delivery Event", properties=report, **each),
                    item("track", event=f"cdp {number}"),
                ],
            },
        )


READING = [
    *(f"/v1/customers/42/{what}" for what in ("attributes", "activities?limit=100", "messages")),
    *(
        "/v1/customers/43/attributes",
        "/v1/messages",
        "/api/v1/devices",
        "/api/v1/devices/t4",
        "/api/v1/devices/t4/history",
    ),
]


async def test_no_time_is_a_5xx_or_keeps_anything_from_being_read(sender):
    delivery, loop, numbers = await delivered(sender), asyncio.get_running_loop(), iter(range(10**6))
    hook = {"name": "ours", "endpoint": "https://example.com/", "events": sorted(webhooks.EVENTS)}
    assert (await sender.app("POST", "/v1/reporting_webhooks", hook))[0] == 200

    async def waiting():
        [made] = await sender.database.rows(
            "select webhook_id from webhooks where workspace_id = $1", sender.workspace_id
        )
        return await webhooks.waiting(sender.database, sender.workspace_id, made["webhook_id"], most=10_000)

    async def look(at, number):
        for method, path, body in telling(sender, delivery, at, number):
            status, answer, _ = await sender.raw(
                method, path, json.dumps(body).encode(), authorization=sender.basic
            )
            assert status in {200, 207}, (path, status, answer)
        for call in ASKING:
            status, answer = await sender.app(*asking(call, at))
            assert status in {200, 201, 400}, (call, status, answer)
        for path in (*READING, f"/v1/messages/{delivery}"):
            status, answer = await sender.app("GET", path)
            assert status == 200, (path, answer)
        assert await happened(sender, f"v2 {number}")
        assert await happened(sender, f"cdp {number}")
        for one in await waiting():
            posted = posted_json(sender.workspace_id, one, sender.database.delivery_ids, with_content=True)
            assert 0 <= posted["timestamp"] < times.TOO_LATE.timestamp()

    @settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
    @given(at=AT)
    def fuzz(at):
        asyncio.run_coroutine_threadsafe(look(at, next(numbers)), loop).result(60)

    await asyncio.to_thread(fuzz)
