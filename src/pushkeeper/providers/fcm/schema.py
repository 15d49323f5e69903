"""The fields of an FCM message, so that what FCM would refuse of a custom payload is refused before it is sent. Pure.

Source: FCM REST v1 `projects.messages`. A name may be spelled in camelCase or snake_case, and null is absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from pushkeeper.core.messages.liquid import is_liquid
from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TTL_S = 2_419_200

_DURATION = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?s")
# FCM treats an empty text as absent.
_COLOR = re.compile(r"(#[0-9A-Fa-f]{6})?")
_ANALYTICS_LABEL = re.compile(r"[A-Za-z0-9_.~%-]{0,50}")
_HTTPS = re.compile(r"https://|$")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DIGITS = re.compile(r"-?[0-9]{1,10}")
_INT32 = range(-(2**31), 2**31)


class Kind(Enum):
    """What a field can contain, for the error message."""

    TEXT = "a text"
    FLAG = "true or false"
    WHOLE = "a whole number of 32 bits"
    SHARE = "a number from 0 to 1"
    DURATION = 'a number of seconds with its unit, as in "3600s"'
    TTL = f'a number of seconds with its unit, from "0s" to "{MAX_TTL_S}s"'
    TIME = 'a time as in "2026-11-30T12:00:00Z"'
    COLOR = 'a color as in "#00ff00"'
    LABEL = "1 to 50 letters, digits, and - _ . ~ %"
    HTTPS = "an https:// address"
    TEXTS = "a list of texts"
    DURATIONS = 'a list of numbers of seconds with their unit, as in "0.5s"'
    OBJECT = "an object"
    STRINGS = "an object of texts"


Fields: TypeAlias = "Mapping[str, Kind | frozenset[str] | Fields]"


def _all(kind: Kind, *names: str) -> dict[str, Kind]:
    return dict.fromkeys(names, kind)


_PRIORITY = frozenset({"NORMAL", "HIGH", "normal", "high"})
_OPTIONS: Fields = {"analytics_label": Kind.LABEL}
_ANDROID_NOTIFICATION: Fields = {
    **_all(Kind.TEXT, "title", "body", "icon", "sound", "tag", "image", "click_action", "channel_id"),
    **_all(Kind.TEXT, "ticker", "title_loc_key", "body_loc_key"),
    **_all(Kind.TEXTS, "title_loc_args", "body_loc_args"),
    **_all(Kind.FLAG, "sticky", "local_only", "bypass_proxy_notification"),
    **_all(Kind.FLAG, "default_sound", "default_vibrate_timings", "default_light_settings"),
    "color": Kind.COLOR,
    "event_time": Kind.TIME,
    "notification_priority": frozenset(
        f"PRIORITY_{word}" for word in ("UNSPECIFIED", "MIN", "LOW", "DEFAULT", "HIGH", "MAX")
    ),
    "vibrate_timings": Kind.DURATIONS,
    "light_settings": {
        "color": _all(Kind.SHARE, "red", "green", "blue", "alpha"),
        **_all(Kind.DURATION, "light_on_duration", "light_off_duration"),
    },
    "visibility": frozenset({"VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"}),
    "notification_count": Kind.WHOLE,
    "proxy": frozenset({"PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"}),
}
_ANDROID: Fields = {
    **_all(Kind.TEXT, "collapse_key", "restricted_package_name"),
    **_all(Kind.FLAG, "direct_boot_ok", "bandwidth_constrained_ok", "restricted_satellite_ok"),
    "priority": _PRIORITY,
    "ttl": Kind.TTL,
    "data": Kind.STRINGS,
    "fcm_options": _OPTIONS,
}
MESSAGE: Fields = {
    **_all(Kind.TEXT, "name", "fid", "token", "topic", "condition"),
    "data": Kind.OBJECT,  # whose values we make texts
    "notification": _all(Kind.TEXT, "title", "body", "image"),
    "android": {**_ANDROID, "notification": _ANDROID_NOTIFICATION},
    "android_v2": {
        **_ANDROID,
        "remote_notification": {
            "notification": _ANDROID_NOTIFICATION,
            **_all(Kind.FLAG, "mutable_content", "use_as_v1_data_message"),
        },
        "background_sync": Kind.OBJECT,
    },
    "apns": {
        "headers": Kind.OBJECT,  # of which `apple_headers` knows more
        "payload": Kind.OBJECT,
        "fcm_options": {"analytics_label": Kind.LABEL, "image": Kind.TEXT},
    },
    "webpush": {
        "headers": Kind.STRINGS,
        "data": Kind.STRINGS,
        "notification": Kind.OBJECT,
        "fcm_options": {"analytics_label": Kind.LABEL, "link": Kind.HTTPS},
    },
    "fcm_options": _OPTIONS,
}
_NOT_SUPPORTED = {"live_activity_token": "Live Activities are not supported"}


def require(value: object, fields: Fields, field: str) -> None:
    """Validate a message, or a part of one; texts are not rendered yet.

    Raises:
        BadRequest: an unknown field, or a value that FCM does not accept.
    """
    if not isinstance(value, dict):
        raise BadRequest(field, "must be an object.")
    for name, inner in value.items():
        where = f"{field}.{name}"
        expected = fields.get(snake(name))
        if expected is None:
            why = _NOT_SUPPORTED.get(snake(name), "an FCM message has no such field")
            raise BadRequest(where, f"{why}.")
        if inner is None or (isinstance(inner, str) and is_liquid(inner)):
            continue
        if isinstance(expected, Mapping):
            require(inner, expected, where)
        elif isinstance(expected, frozenset):
            if not isinstance(inner, str) or inner not in expected:
                raise BadRequest(where, f"must be one of {', '.join(sorted(expected))}.")
        elif not _fits(inner, expected):
            raise BadRequest(where, f"must be {expected.value}.")


def snake(name: str) -> str:
    """A name in snake_case; one that mixes both spellings is none."""
    return (
        name
        if "_" in name or name.islower()
        else re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)
    )


def _fits(value: Any, kind: Kind) -> bool:  # noqa: ANN401, PLR0911 - any JSON; one answer for each kind
    match kind:
        case Kind.FLAG:
            return isinstance(value, bool)
        case Kind.WHOLE:
            return _is_whole(value)
        case Kind.SHARE:
            return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
        case Kind.OBJECT:
            return isinstance(value, dict)
        case Kind.TEXTS:
            return isinstance(value, list) and all(isinstance(one, str) for one in value)
        case Kind.DURATIONS:
            return isinstance(value, list) and all(_fits(one, Kind.DURATION) for one in value)
        case Kind.STRINGS:
            return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
        case _:
            return isinstance(value, str) and (kind not in _READS or bool(_READS[kind](value)))


def _is_ttl(text: str) -> bool:
    return _DURATION.fullmatch(text) is not None and Decimal(text[:-1]) <= MAX_TTL_S


def _is_whole(value: object) -> bool:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    elif isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON knows no difference between 5 and 5.0
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT32


def _is_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    try:
        return found is not None and datetime.fromisoformat(f"{found[1]}{found[3]}").year > 0
    except ValueError:
        return False


_READS: dict[Kind, Callable[[str], object]] = {
    Kind.DURATION: _DURATION.fullmatch,
    Kind.TTL: _is_ttl,
    Kind.COLOR: _COLOR.fullmatch,
    Kind.LABEL: _ANALYTICS_LABEL.fullmatch,
    Kind.HTTPS: _HTTPS.match,
    Kind.TIME: _is_time,
}
