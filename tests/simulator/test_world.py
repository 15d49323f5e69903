"""What needs no connection: seeds, tokens, and bodies of every sort."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.simulator import Origin, World, fcm_message
from pushkeeper.simulator.fcm_errors import Decision
from pushkeeper.simulator.fcm_message import SendRequest

APPLE = Origin(platform="ios", provider="apns")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    [
        *("token", "fid", "topic", "condition", "data", "notification", "android", "android_v2", "androidV2"),
        *(
            "apns",
            "webpush",
            "fcm_options",
            "ttl",
            "title",
            "body",
            "priority",
            "headers",
            "payload",
            "unknown",
        ),
    ]
)
NEARLY_MESSAGES = st.recursive(JSON, lambda inner: st.dictionaries(FIELDS, inner, max_size=5), max_leaves=10)


@given(seed=st.integers(), counts=st.lists(st.integers(min_value=0, max_value=5), max_size=6))
def test_a_seed_mints_the_same_tokens_in_whatever_order_the_kinds_come(seed, counts):
    one, other = World(seed), World(seed)
    for count in counts:
        one.mint(count)
        one.mint(count, APPLE)
    apple = other.mint(sum(counts), APPLE)
    google = other.mint(sum(counts))
    assert set(one.installations) == {*apple, *google}
    assert len(one.installations) == 2 * sum(counts)


def test_another_seed_mints_other_tokens():
    assert set(World(1).mint(50)).isdisjoint(World(2).mint(50))


@given(st.binary())
def test_no_bytes_upset_the_reader_of_messages(body):
    assert isinstance(fcm_message.read(body), SendRequest | Decision)
    assert isinstance(fcm_message.target_of(body), str)


@given(message=NEARLY_MESSAGES, validate_only=JSON)
def test_no_json_upsets_the_reader_of_messages(message, validate_only):
    request = json.dumps({"message": message, "validate_only": validate_only}).encode()
    read = fcm_message.read(request)
    assert isinstance(fcm_message.target_of(request), str)
    if isinstance(read, Decision):
        assert read.http == 400
        assert json.loads(read.body)["error"]["status"] == "INVALID_ARGUMENT"
    else:
        assert read.target in message.values()


@given(
    data=st.dictionaries(st.text(max_size=5).map("k{}".format), st.text(max_size=10), max_size=5),
    title=st.text(max_size=20),
)
def test_every_map_of_strings_is_a_message(data, title):
    message = {"token": "t", "data": data, "notification": {"title": title}}
    assert fcm_message.read(json.dumps({"message": message}).encode()) == SendRequest(
        "token", "t", dry_run=False
    )
