"""How a body is read: what is refused and by which words, who is asked for a key first, and what an item costs the others."""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.api.style import MAX_KEYLESS_BYTES
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.web import body
from pushkeeper.web.body import LARGE
from pushkeeper.web.large_bodies import BYTES_PER_S, LARGE_BYTES, MOST_BYTES
from support.requests import NO_KEYS, SAMPLES, filled, key_of

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database
    from support.inside import Inside

TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=10)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


@given(value=PLAIN)
def test_what_json_says_is_read_as_it_is(value: object) -> None:
    assert body.decode(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"a": 1e400}', "a"),
        (b'{"a\\u0000b": -1e400}', "ab"),
        (b'{"a": [0, {"b": 1E+309}]}', "a[1].b"),
        (b'[{"a": %s.0}]' % (b"9" * 400), "body[0].a"),
        (b'{"%s": 1e999}' % (b"k" * 5_000), "k" * 40),
        (b'{"a": [%s]}' % (b"1" * 101), "a[0]"),
        (b'{"a": -%s}' % (b"1" * 400), "a"),
        (b"[" * 101 + b"]" * 101, "body[0][0]"),
        (b"[" * 50_000 + b"]" * 50_000, "body[0][0]"),
        (b'{"b": 1, "a": %s1%s}' % (b'{"c": [' * 2_000, b"]}" * 2_000), "a.c"),
        (b"1" * 5_000, "body"),
        (b"1e400", "body"),
        (b"[" + b"[]," * 50_000 + b"[]]", "body"),
        (b"[" + b"0," * 500_000 + b"0]", "body"),
        (b'{"a": ', "body"),
        (b'{"a": NaN}', "body"),
        (b'{"a": "\0"}', "body"),
        (b'{"a": "\xe9"}', "body"),
        (b"\xff", "body"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_place(raw: bytes, field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        body.decode(raw)
    assert refused.value.field == field
    assert refused.value.message.startswith(f"{field}: ")
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"", {}),
        (b" \n", {}),
        (b'"%s"' % (b"1" * 5_000), "1" * 5_000),
        (b'"\\\\u0000"', "\\u0000"),
        (b"1" * 100, int("1" * 100)),
        (b"[" * 100 + b"]" * 100, None),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"cut \\ud83d"', "cut \ufffd"),
        (b'"\\udE00\\ud83d\\ude00\\\\ud83d"', "\ufffd\U0001f600\\ud83d"),
        (b'{"a\\u0000": "x\\u0000\\\\u0000"}', {"a": "x\\u0000"}),
        (b'{"a": "\\ud83d\\u0000", "a\\u0000": "1e400 [[["}', {"a": "1e400 [[["}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b"\xef\xbb\xbf", {}),
        (b"[1e-400, 1e308]", [0.0, 1e308]),
    ],
)
def test_what_only_looks_like_it_or_can_be_repaired_is_read(raw: bytes, value: object) -> None:
    found = body.decode(raw)
    assert value is None or found == value


async def test_what_is_large_is_read_beside_the_event_loop() -> None:
    here = threading.get_ident()
    assert await body.by_size(LARGE_BYTES, threading.get_ident) == here
    assert await body.by_size(LARGE_BYTES + 1, threading.get_ident) != here


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 65_537, 400_000])
async def test_gzip_is_inflated_up_to_what_may_be(length: int) -> None:
    text = b"a" * length
    for raw, encoding in (
        (text, b""),
        (text, b"gzip"),
        (gzip.compress(text), b""),
        (gzip.compress(text[:9]) + gzip.compress(text[9:]) + b"\0\0", b"gzip"),
        (zlib.compress(text), b"deflate"),
        (zlib.compress(text), b""),
        (zlib.compress(text, wbits=-15), b" Deflate"),
        (b' {"a": 1}', b"deflate"),
    ):
        found = await body.inflate(raw, encoding=encoding, most=400_000, field="batch")
        assert found == (raw if raw.startswith(b" {") else text)


@pytest.mark.parametrize(
    "raw",
    [
        gzip.compress(b"a" * 50_000_000),
        gzip.compress(b"a" * 500_001),
        gzip.compress(b"a" * 400_000) * 2,
        zlib.compress(b"a" * 50_000_000),
        b"a" * 500_001,
    ],
)
async def test_no_more_is_inflated_than_may_be(raw: bytes) -> None:
    with pytest.raises(TooLarge, match="batch"):
        await body.inflate(raw, encoding=b"", most=500_000, field="batch")


async def test_an_encoding_that_is_not_read_is_named(inside: Inside, workspace: Any) -> None:
    seen = await inside.ask("POST", "/v1/b", b"\x28\xb5\x2f\xfd", {"content-encoding": "zstd"})
    assert (seen.status, b"gzip or deflate" in seen.body) == (200, True)
    sent = json.dumps({"writeKey": workspace[1].write_key, "batch": []}).encode()
    assert (await inside.ask("POST", "/v1/b", sent, {"content-encoding": "br"})).body == b"{}\n"


async def test_a_body_is_not_read_before_its_key_is_known(inside: Inside) -> None:
    async def nobody_reads() -> Any:
        pytest.fail("the body was read")

    asked = 0
    for route in SAMPLES:
        method, path = route.split()
        if not key_of(route, NO_KEYS) or "x-strict-mode" in key_of(route, NO_KEYS):
            continue  # what has its key in the path or in the body
        for authorization in (b"", b"Bearer nobody", b"Basic bm9ib2R5Og=="):
            statuses: list[int] = []

            async def send(message: Any, statuses: list[int] = statuses) -> None:
                statuses += [message["status"]] if "status" in message else []

            scope = {
                "type": "http",
                "method": method,
                "path": filled(path),
                "query_string": b"",
                "headers": [(b"authorization", authorization)],
            }
            await inside.app(scope, nobody_reads, send)
            assert statuses == [401], (route, authorization)
            asked += 1
    assert asked > 100


async def test_what_needs_no_key_in_its_header_is_read_up_to_64_kib(inside: Inside) -> None:
    keyless = [route for route in SAMPLES if not key_of(route, NO_KEYS)]
    assert len(keyless) == 4
    for route in keyless:
        method, path = route.split()
        large = b'{"a": "%s"}' % (b"a" * MAX_KEYLESS_BYTES)
        assert (await inside.ask(method, filled(path), large)).status == 413
        assert (await inside.ask(method, filled(path), b'{"unsubscribe": true}')).status == 200


def _nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


_BAD: list[Any] = [
    10**400,
    2**63,
    _nested(900),
    "\0",
    [[]],
    {"a": "\0"},
    "http://[::1",
    1e308,
    {},
    "x" * 40_000,
]


@pytest.mark.parametrize("bad", _BAD, ids=range(len(_BAD)))
@pytest.mark.parametrize(
    "where", ["timestamp", "event", "userId", "properties", "type", "messageId", "context"]
)
async def test_in_a_batch_of_an_app_the_bad_item_alone_is_dropped(
    inside: Inside, workspace: Any, database: Database, where: str, bad: Any
) -> None:
    made, keys = workspace
    good = {"type": "track", "event": "good", "userId": "42"}
    items = [good, {**good, "event": "bad", where: bad}, {**good, "event": "cut \ud83d"}, good]
    sent = json.dumps({"writeKey": keys.write_key, "batch": items}).encode()
    assert (await inside.ask("POST", "/v1/b", sent)).status == 200
    names = [
        row["name"]
        for row in await database.rows(
            "select name from events where workspace_id = $1 order by event_id", made.workspace_id
        )
    ]
    assert [name for name in names if name not in {"bad", "x"}].count("good") == 2
    assert "cut \ufffd" in names


async def test_in_a_batch_of_a_back_end_the_bad_operation_alone_is_refused(
    inside: Inside, workspace: Any
) -> None:
    keys = workspace[1]
    good = {"type": "person", "action": "identify", "identifiers": {"id": "42"}, "attributes": {"a": 1}}
    for bad in (10**400, 10**100, 2**63, _nested(150), _nested(900)):
        items = [good, {**good, "attributes": {"b": bad}}, good]
        route = "POST /api/v2/batch"
        seen = await inside.ask(
            "POST", "/api/v2/batch", json.dumps({"batch": items}).encode(), key_of(route, keys)
        )
        assert seen.status == 207
        assert [error["batch_index"] for error in json.loads(seen.body)["errors"]] == [1]


async def test_a_batch_of_more_items_than_can_say_anything_is_refused(inside: Inside, workspace: Any) -> None:
    keys = workspace[1]
    sent = json.dumps({"batch": [0] * 10_001}).encode()
    for route, status in (("POST /v1/b", 400), ("POST /api/v2/batch", 400)):
        seen = await inside.ask("POST", route.split()[1], sent, key_of(route, keys))
        assert (seen.status, b"10,000" in seen.body) == (status, True)


class Counting(ThreadPoolExecutor):
    """Threads that say how often they were asked."""

    asked = 0

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        self.asked += 1
        return super().submit(*args, **kwargs)


@pytest.mark.parametrize(("people", "in_a_thread"), [(10_000, False), (100_000, True)])
async def test_a_large_body_is_read_beside_the_event_loop(
    inside: Inside, workspace: Any, monkeypatch: pytest.MonkeyPatch, people: int, *, in_a_thread: bool
) -> None:
    keys = workspace[1]
    body = b'{"ids": [%s0]}' % (b"-1,0," * (people // 2))
    route = "POST /v1/campaigns/{id}/triggers"
    threads = Counting()
    monkeypatch.setattr("pushkeeper.web.body._READER", threads)
    seen = await inside.ask("POST", "/v1/campaigns/7/triggers", body, key_of(route, keys))
    threads.shutdown()
    assert seen.status == 422
    assert (threads.asked > 0) == in_a_thread


async def test_a_large_body_of_a_workspace_is_received_no_faster_than_its_share(
    inside: Inside, workspace: Any
) -> None:
    made, keys = workspace
    chunks = [b'{"ids": ["%s"]' % (b"x" * 100_000), *[b" " * 100_000] * 20, b"}"]
    asked_at: list[float] = []

    async def receive() -> Any:
        asked_at.append(time.monotonic())
        return {
            "type": "http.request",
            "body": chunks[len(asked_at) - 1],
            "more_body": len(asked_at) < len(chunks),
        }

    statuses: list[int] = []

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    authorization = key_of("POST /v1/campaigns/{id}/triggers", keys)["authorization"].encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/campaigns/7/triggers",
        "query_string": b"",
        "headers": [(b"authorization", authorization)],
    }
    await inside.app(scope, receive, send)
    assert statuses == [422]
    at_once = BYTES_PER_S / 10 + len(chunks[0])
    assert asked_at[-1] - asked_at[0] >= (sum(map(len, chunks)) - at_once) / BYTES_PER_S
    # All of it is uncounted: as much as a workspace may have finds room.
    LARGE.received(made.workspace_id, MOST_BYTES, time.monotonic())
    LARGE.answered(made.workspace_id, MOST_BYTES)


async def test_a_workspace_with_too_many_large_bodies_is_told_to_wait_and_nobody_else(
    inside: Inside, workspace: Any
) -> None:
    made, keys = workspace
    body = b'{"ids": ["%s"]}' % (b"x" * 100_000)
    route = "POST /v1/campaigns/{id}/triggers"
    LARGE.received(made.workspace_id, MOST_BYTES, time.monotonic())
    seen = await inside.ask("POST", "/v1/campaigns/7/triggers", body, key_of(route, keys))
    assert (seen.status, seen.headers["retry-after"]) == (429, "5")
    assert b"not answered yet" in seen.body
    small = await inside.ask("POST", "/v1/campaigns/7/triggers", b'{"ids": [[]]}', key_of(route, keys))
    assert small.status == 422
    LARGE.answered(made.workspace_id, MOST_BYTES)
    seen = await inside.ask("POST", "/v1/campaigns/7/triggers", body, key_of(route, keys))
    assert seen.status == 422


@pytest.mark.parametrize("route", ["POST /v1/b", "POST /api/v2/batch"])
async def test_many_small_items_are_read_beside_the_event_loop(
    inside: Inside, workspace: Any, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    keys = workspace[1]
    threads = Counting()
    monkeypatch.setattr("pushkeeper.web.body._READER", threads)
    for items, asked in ((100, 0), (200, 1)):
        sent = json.dumps({"batch": [0] * items}).encode()
        await inside.ask("POST", route.split()[1], sent, key_of(route, keys))
        assert threads.asked == asked
    threads.shutdown()
