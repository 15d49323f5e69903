"""What FCM would refuse of a custom payload, refused before it is sent: checked against the simulator's own reading."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.model import Content, IdKind, Platform
from pushkeeper.errors import BadRequest
from pushkeeper.providers.fcm import message, schema
from pushkeeper.providers.splice import Slot
from pushkeeper.simulator import fcm_schema

ANDROID = "custom_payload.android.message"


def refused_field(custom, platform):
    try:
        message.check(Content(custom_payload={platform: custom}), Platform(platform))
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
    ],
)
def test_a_field_that_fcm_would_refuse_is_refused_by_name(given, field):
    for platform in ("ios", "android"):
        expected = f"custom_payload.{platform}.message.{field}"
        if field == "apns.payload.aps" and platform == "android":
            continue
        assert refused_field({"message": given}, platform) == expected


@pytest.mark.parametrize(
    "given",
    [
        {"android": {"priority": "high", "ttl": "0.5s"}},
        {"android": {"priority": "HIGH", "ttl": "2419200s", "collapseKey": "x", "directBootOk": True}},
        {"android": {"notification": {"vibrateTimings": ["0.1s"], "visibility": "PUBLIC", "title": None}}},
        {"notification": {"image": "https://x.example/a.png"}, "fcmOptions": {"analyticsLabel": "x"}},
        {"android": {"ttl": "{{ trigger.ttl }}s", "priority": "{{ trigger.priority }}"}},
    ],
)
def test_what_fcm_takes_is_taken(given):
    assert refused_field({"message": given}, "android") is None


_TEXTS = st.text(max_size=5)
_RIGHT: dict[schema.Kind, st.SearchStrategy[Any]] = {
    schema.Kind.TEXT: _TEXTS,
    schema.Kind.FLAG: st.booleans(),
    schema.Kind.WHOLE: st.integers(0, 100),
    schema.Kind.NUMBER: st.floats(0, 1),
    schema.Kind.DURATION: st.sampled_from(["1s", "0.25s", "1", "1m", "s", "-"]),
    schema.Kind.TEXTS: st.lists(_TEXTS, max_size=2),
    schema.Kind.DURATIONS: st.lists(st.sampled_from(["1s", "1"]), max_size=2),
    schema.Kind.STRINGS: st.dictionaries(_TEXTS, _TEXTS, max_size=2),
    schema.Kind.OBJECT: st.dictionaries(_TEXTS, st.integers(0, 9), max_size=2),
}
_ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), _TEXTS, st.just({}), st.just([])
)


def _values(expected: Any) -> st.SearchStrategy[Any]:
    """Mostly what may stand there, and now and then something else."""
    if isinstance(expected, schema.Kind):
        right = _RIGHT[expected]
    else:
        right = _messages(expected) if isinstance(expected, dict) else st.sampled_from(sorted(expected))
    return st.one_of(right, right, right, _ANYTHING)


def _messages(fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    known = {name: _values(expected) for name, expected in fields.items()}
    names = st.lists(st.sampled_from([*known, "unknown"]), max_size=3, unique=True)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: known.get(name, st.text(max_size=3)) for name in chosen})
    )


@given(given=_messages(schema.MESSAGE), camel=st.booleans())
def test_whatever_is_taken_the_push_service_takes_too(given, camel):
    if camel:
        given = _camelled(given)
    content = Content(custom_payload={"android": {"message": given}})
    try:
        message.check(content, Platform.ANDROID)
    except BadRequest:
        return
    body = message.body(content, Platform.ANDROID, IdKind.TOKEN, dry_run=False)
    assert fcm_schema.violations(_filled(body)) == []


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
