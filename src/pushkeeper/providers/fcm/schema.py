"""The fields of an FCM message, so that what FCM would refuse of a custom payload is refused before it is sent. Pure.

Source: FCM REST v1 `projects.messages`. A name may be spelled in camelCase or snake_case, and null is absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeAlias

from pushkeeper.core.template import is_liquid
from pushkeeper.errors import BadRequest

_DURATION = re.compile(r"\d{1,12}(\.\d{1,9})?s")


class Kind(Enum):
    """What may stand in a field, in words for whoever wrote something else."""

    TEXT = "a text"
    FLAG = "true or false"
    WHOLE = "a whole number"
    NUMBER = "a number"
    DURATION = 'a number of seconds with its unit, as in "3600s"'
    TEXTS = "a list of texts"
    DURATIONS = 'a list of numbers of seconds with their unit, as in "0.5s"'
    OBJECT = "an object"
    STRINGS = "an object of texts"


Fields: TypeAlias = "Mapping[str, Kind | frozenset[str] | Fields]"


def _all(kind: Kind, *names: str) -> dict[str, Kind]:
    return dict.fromkeys(names, kind)


_PRIORITY = frozenset({"NORMAL", "HIGH", "normal", "high"})
_LABEL: Fields = {"analytics_label": Kind.TEXT}
_ANDROID_NOTIFICATION: Fields = {
    **_all(
        Kind.TEXT, "title", "body", "icon", "color", "sound", "tag", "image", "click_action", "channel_id"
    ),
    **_all(Kind.TEXT, "ticker", "title_loc_key", "body_loc_key", "event_time"),
    **_all(Kind.TEXTS, "title_loc_args", "body_loc_args"),
    **_all(Kind.FLAG, "sticky", "local_only", "bypass_proxy_notification"),
    **_all(Kind.FLAG, "default_sound", "default_vibrate_timings", "default_light_settings"),
    "notification_priority": frozenset(
        f"PRIORITY_{word}" for word in ("UNSPECIFIED", "MIN", "LOW", "DEFAULT", "HIGH", "MAX")
    ),
    "vibrate_timings": Kind.DURATIONS,
    "light_settings": {
        "color": _all(Kind.NUMBER, "red", "green", "blue", "alpha"),
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
    "ttl": Kind.DURATION,
    "data": Kind.STRINGS,
    "fcm_options": _LABEL,
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
        "headers": Kind.OBJECT,  # of which we know more
        "payload": Kind.OBJECT,
        "fcm_options": _all(Kind.TEXT, "analytics_label", "image"),
        "live_activity_token": Kind.TEXT,
    },
    "webpush": {
        "headers": Kind.STRINGS,
        "data": Kind.STRINGS,
        "notification": Kind.OBJECT,
        "fcm_options": _all(Kind.TEXT, "link", "analytics_label"),
    },
    "fcm_options": _LABEL,
}


def require(value: object, fields: Fields, field: str) -> None:
    """Look through a message, or a part of one; what Liquid will make of a text is not known yet.

    Raises:
        BadRequest: a name is no field of it, or something else stands there than FCM takes.
    """
    if not isinstance(value, dict):
        raise BadRequest(field, f"{field} must be an object.")
    for name, inner in value.items():
        where = f"{field}.{name}"
        expected = fields.get(_snake(name))
        if expected is None:
            raise BadRequest(where, f"{where} is no field of an FCM message.")
        if inner is None or (isinstance(inner, str) and is_liquid(inner)):
            continue
        if isinstance(expected, Mapping):
            require(inner, expected, where)
        elif isinstance(expected, frozenset):
            if not isinstance(inner, str) or inner not in expected:
                raise BadRequest(where, f"{where} must be one of {', '.join(sorted(expected))}.")
        elif not _fits(inner, expected):
            raise BadRequest(where, f"{where} must be {expected.value}.")


def _snake(name: str) -> str:
    """A name in snake_case; one that mixes both spellings is none."""
    return (
        name
        if "_" in name or name.islower()
        else re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)
    )


def _fits(value: Any, kind: Kind) -> bool:  # noqa: ANN401, PLR0911 - any JSON; one answer for each kind
    match kind:
        case Kind.TEXT:
            return isinstance(value, str)
        case Kind.FLAG:
            return isinstance(value, bool)
        case Kind.WHOLE:
            return isinstance(value, int) and not isinstance(value, bool)
        case Kind.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case Kind.DURATION:
            return isinstance(value, str) and _DURATION.fullmatch(value) is not None
        case Kind.TEXTS:
            return isinstance(value, list) and all(_fits(one, Kind.TEXT) for one in value)
        case Kind.DURATIONS:
            return isinstance(value, list) and all(_fits(one, Kind.DURATION) for one in value)
        case Kind.OBJECT:
            return isinstance(value, dict)
        case Kind.STRINGS:
            return isinstance(value, dict) and all(_fits(one, Kind.TEXT) for one in value.values())
