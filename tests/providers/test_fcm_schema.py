"""What FCM would refuse of a custom payload, refused before it is sent: checked against the simulator's own reading."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.core.model import Content, IdKind, Platform
from pushkeeper.errors import BadRequest
from pushkeeper.providers.fcm import message, schema
from pushkeeper.providers.shared.json_template import Slot
from pushkeeper.simulator import fcm_message
from support.examples import examples

ANDROID = "custom_payload.android.message"


def check(content, platform):
    message.check_form(content, platform)
    message.check_size(content, platform)


def refused_field(custom, platform):
    try:
        check(Content(custom_payload={platform: custom}), Platform(platform))
    except BadRequest as refused:
        return refused.field
    return None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"notification": {"sound": "x"}}, "notification.sound"),
        ({"android": {"ttl": "3600"}}, "android.ttl"),
        ({"android": {"ttl": 3600}}, "android.ttl"),
        ({"android": {"priority": "urgent"}}, "android.priority"),
        ({"android": {"notification": {"colour": "#fff"}}}, "android.notification.colour"),
        (
            {"android": {"notification": {"notificationCount": "many"}}},
            "android.notification.notificationCount",
        ),
        ({"android": {"data": {"n": 1}}}, "android.data"),
        ({"apns": {"payload": {"alert": "x"}}}, "apns.payload.aps"),
        ({"webpush": {"link": "x"}}, "webpush.link"),
        ({"fcm_options": {"link": "x"}}, "fcm_options.link"),
        ({"androidV2": {"ttl": "1h"}}, "androidV2.ttl"),
        ({"android_V2": {}}, "android_V2"),
        ({"android": {"notification": {"color": "red"}}}, "android.notification.color"),
        ({"android": {"ttl": "2419201s"}}, "android.ttl"),
        ({"android": {"data": {"from": "x"}}}, "android.data.from"),
        ({"android": {}, "androidV2": {}}, "androidV2"),
        ({"fcmOptions": {"analyticsLabel": "two words"}}, "fcmOptions.analyticsLabel"),
        ({"android": {"notification": {"eventTime": "soon"}}}, "android.notification.eventTime"),
        (
            {"android": {"notification": {"lightSettings": {"color": {"red": 255}}}}},
            "android.notification.lightSettings.color.red",
        ),
        ({"webpush": {"fcm_options": {"link": "http://x"}}}, "webpush.fcm_options.link"),
        ({"apns": {"live_activity_token": "x"}}, "apns.live_activity_token"),
    ],
)
def test_a_field_that_fcm_would_refuse_is_refused_by_name(given, field):
    for platform in ("ios", "android"):
        expected = f"custom_payload.{platform}.message.{field}"
        assert refused_field({"message": given}, platform) == expected


@pytest.mark.parametrize(
    "given",
    [
        {"android": {"priority": "high", "ttl": "0.5s"}},
        {"android": {"priority": "HIGH", "ttl": "2419200s", "collapseKey": "x", "directBootOk": True}},
        {"android": {"notification": {"vibrateTimings": ["0.1s"], "visibility": "PUBLIC", "title": None}}},
        {"notification": {"image": "https://x.example/a.png"}, "fcmOptions": {"analyticsLabel": "x"}},
        {"android": {"notification": {"notification_count": 5.0}}},
        {"android": {"ttl": "{{ trigger.ttl }}s", "priority": "{{ trigger.priority }}"}},
    ],
)
def test_what_fcm_takes_is_taken(given):
    assert refused_field({"message": given}, "android") is None


_TEXTS = st.text(max_size=5)
_DURATIONS = st.sampled_from(["1s", "0.25s", "2419200s", "2419200.1s", "2419201s", "1", "1m", "s", "-", ""])
_RIGHT: dict[schema.Kind, st.SearchStrategy[Any]] = {
    schema.Kind.TEXT: _TEXTS,
    schema.Kind.FLAG: st.booleans(),
    schema.Kind.WHOLE: st.integers(-(2**32), 2**32)
    | st.integers(-(2**32), 2**32).map(str)
    | st.sampled_from([5.0, -5.0, 0.5, 2.0**31]),
    schema.Kind.SHARE: st.floats(-0.5, 1.5) | st.sampled_from([0, 1]),
    schema.Kind.DURATION: _DURATIONS,
    schema.Kind.TTL: _DURATIONS,
    schema.Kind.TIME: st.sampled_from(["2026-11-30T12:00:00Z", "2026-11-30T12:00:00.123456789+09:00"])
    | st.sampled_from(
        ["2026-02-30T12:00:00Z", "2026-11-30 12:00:00", "2026-11-30T12:00:00", "0000-01-01T00:00:00Z"]
    ),
    schema.Kind.COLOR: st.from_regex("#[0-9A-Fa-f]{6}", fullmatch=True)
    | st.sampled_from(["red", "#fff", "#12345g", "112233", "", "#11223344"]),
    schema.Kind.LABEL: st.text(st.sampled_from("aZ9-_.~%/ é"), max_size=52),
    schema.Kind.HTTPS: st.sampled_from(["https://shop.example/a", "http://shop.example", "shop.example", ""]),
    schema.Kind.TEXTS: st.lists(_TEXTS, max_size=2),
    schema.Kind.DURATIONS: st.lists(st.sampled_from(["1s", "1"]), max_size=2),
    schema.Kind.STRINGS: st.dictionaries(
        st.sampled_from(["a", "from", "google.x", "gcm"]), _TEXTS, max_size=2
    ),
    schema.Kind.OBJECT: st.dictionaries(st.sampled_from(["aps", "a"]), st.just({}) | _TEXTS, max_size=2),
}
_ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), _TEXTS, st.just({}), st.just([])
)


def _values(expected: Any) -> st.SearchStrategy[Any]:
    """Mostly what may stand there, and now and then something else."""
    if isinstance(expected, schema.Kind):
        right = _RIGHT[expected]
    elif isinstance(expected, dict):
        right = _messages(expected)
    else:
        right = st.sampled_from(sorted(expected))
    return st.one_of(right, right, right, _ANYTHING)


def _messages(fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    known = {name: _values(expected) for name, expected in fields.items()}
    names = st.lists(st.sampled_from([*known, "unknown"]), max_size=3, unique=True)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: known.get(name, st.text(max_size=3)) for name in chosen})
    )


def _is_taken(platform: Platform, given: dict[str, Any]) -> bool:
    """Whether our check takes a message; if so, what is made of it is one that FCM takes."""
    content = Content(custom_payload={platform: {"message": given}})
    try:
        check(content, platform)
    except BadRequest:
        return False
    body = message.body(content, platform, IdKind.TOKEN, dry_run=False)
    assert isinstance(fcm_message.read(msgspec.json.encode(_filled(body))), fcm_message.SendRequest)
    return True


@settings(max_examples=examples(1_000))
@given(given=_messages(schema.MESSAGE), camel=st.booleans())
def test_our_check_and_the_simulator_agree_on_any_message(given, camel):
    if camel:
        given = _camelled(given)
    _is_taken(Platform.IOS, given)
    if _is_taken(Platform.ANDROID, given):
        return
    # The target is ours to set.
    targets = {"token", "fid", "topic", "condition"}
    rest = {name: value for name, value in given.items() if name not in targets}
    decided = fcm_message.read(msgspec.json.encode({"message": {**rest, "token": "x"}}))
    if all(given.get(name) is None or isinstance(given[name], str) for name in targets):
        assert not isinstance(decided, fcm_message.SendRequest), given


def _camelled(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        first, *rest = name.split("_")
        found[first + "".join(word.title() for word in rest)] = _camelled(inner)
    return found


def _filled(value: Any) -> Any:
    if isinstance(value, Slot):
        return "1s"
    if isinstance(value, dict):
        return {name: _filled(inner) for name, inner in value.items()}
    return value
