"""The schema of FCM's `messages:send`, as the API description has it, read as Google's JSON reader reads it.

A field may be spelled in camelCase or snake_case; paths in errors are in snake_case, as Google's are. Of a key that
comes twice the last one counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

Violations: TypeAlias = list[tuple[str, str]]
Check: TypeAlias = "Callable[[str, Any, Violations], None]"

_DURATION = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?s")
_WHOLE = re.compile(r"-?[0-9]{1,10}")
_INT32 = range(-(2**31), 2**31)


def _wrong(path: str, kind: str, value: Any) -> tuple[str, str]:  # noqa: ANN401 - any JSON
    shown = msgspec.json.encode(value).decode()
    return path, f"Invalid value at '{path}' ({kind}), {shown}"


def _string(path: str, value: Any, found: Violations) -> None:  # noqa: ANN401 - any JSON
    if not isinstance(value, str):
        found.append(_wrong(path, "TYPE_STRING", value))


def _boolean(path: str, value: Any, found: Violations) -> None:  # noqa: ANN401 - any JSON
    if not isinstance(value, bool):
        found.append(_wrong(path, "TYPE_BOOL", value))


def _integer(path: str, value: Any, found: Violations) -> None:  # noqa: ANN401 - any JSON
    spelled = isinstance(value, str) and _WHOLE.fullmatch(value)
    whole = int(value) if spelled or (isinstance(value, float) and value.is_integer()) else value
    if isinstance(whole, bool) or not isinstance(whole, int) or whole not in _INT32:
        found.append(_wrong(path, "TYPE_INT32", value))


def _number(path: str, value: Any, found: Violations) -> None:  # noqa: ANN401 - any JSON
    if isinstance(value, bool) or not isinstance(value, int | float):
        found.append(_wrong(path, "TYPE_FLOAT", value))


def _duration(path: str, value: Any, found: Violations) -> None:  # noqa: ANN401 - any JSON
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        shown = msgspec.json.encode(value).decode()
        kind = "type.googleapis.com/google.protobuf.Duration"
        found.append(
            (
                path,
                f"Invalid value at '{path}' ({kind}), Illegal duration format; duration must end with 's': {shown}",
            )
        )


def _object(path: str, value: Any, found: Violations) -> None:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict):
        found.append(_wrong(path, "type.googleapis.com/google.protobuf.Struct", value))


def _string_map(path: str, value: Any, found: Violations) -> None:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict):
        found.append(_wrong(path, "MapEntry", value))
        return
    for number, item in enumerate(value.values()):
        if not isinstance(item, str):
            found.append(_wrong(f"{path}[{number}].value", "TYPE_STRING", item))


def _list_of(check: Check) -> Check:
    def read(path: str, value: Any, found: Violations) -> None:  # noqa: ANN401 - any JSON
        items = value if isinstance(value, list) else [value]
        for number, item in enumerate(items):
            check(f"{path}[{number}]", item, found)

    return read


def _enum(kind: str, *names: str) -> Check:
    def read(path: str, value: Any, found: Violations) -> None:  # noqa: ANN401 - any JSON
        if value not in names:
            found.append(_wrong(path, f"type.googleapis.com/google.firebase.fcm.v1.{kind}", value))

    return read


def _message(kind: str, fields: dict[str, Check]) -> Check:
    known = {_camel(name): (name, check) for name, check in fields.items()}
    known |= {name: (name, check) for name, check in fields.items()}

    def read(path: str, value: Any, found: Violations) -> None:  # noqa: ANN401 - any JSON
        if not isinstance(value, dict):
            found.append(_wrong(path, f"type.googleapis.com/google.firebase.fcm.v1.{kind}", value))
            return
        for name, item in value.items():
            entry = known.get(name)
            if entry is None:
                at = f" at '{path}'" if path else ""
                sentence = f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
                found.append((path, sentence))
            elif item is not None:
                entry[1](f"{path}.{entry[0]}" if path else entry[0], item, found)

    return read


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


_COLOR = _message("Color", {"red": _number, "green": _number, "blue": _number, "alpha": _number})

_LIGHT_SETTINGS = _message(
    "LightSettings", {"color": _COLOR, "light_on_duration": _duration, "light_off_duration": _duration}
)

_PRIORITIES = (
    "PRIORITY_UNSPECIFIED",
    "PRIORITY_MIN",
    "PRIORITY_LOW",
    "PRIORITY_DEFAULT",
    "PRIORITY_HIGH",
    "PRIORITY_MAX",
)

_ANDROID_NOTIFICATION = _message(
    "AndroidNotification",
    {
        **dict.fromkeys(
            (
                "title",
                "body",
                "icon",
                "color",
                "sound",
                "tag",
                "image",
                "click_action",
                "channel_id",
                "ticker",
            ),
            _string,
        ),
        **dict.fromkeys(("title_loc_key", "body_loc_key", "event_time"), _string),
        **dict.fromkeys(("title_loc_args", "body_loc_args"), _list_of(_string)),
        **dict.fromkeys(("sticky", "local_only", "bypass_proxy_notification"), _boolean),
        **dict.fromkeys(("default_sound", "default_vibrate_timings", "default_light_settings"), _boolean),
        "notification_priority": _enum("NotificationPriority", *_PRIORITIES),
        "vibrate_timings": _list_of(_duration),
        "light_settings": _LIGHT_SETTINGS,
        "visibility": _enum("Visibility", "VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"),
        "notification_count": _integer,
        "proxy": _enum("Proxy", "PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"),
    },
)

_FCM_OPTIONS = _message("FcmOptions", {"analytics_label": _string})

_ANDROID_COMMON: dict[str, Check] = {
    "collapse_key": _string,
    "priority": _enum("AndroidMessagePriority", "NORMAL", "HIGH", "normal", "high"),
    "ttl": _duration,
    "restricted_package_name": _string,
    "data": _string_map,
    "fcm_options": _message("AndroidFcmOptions", {"analytics_label": _string}),
    "direct_boot_ok": _boolean,
    "bandwidth_constrained_ok": _boolean,
    "restricted_satellite_ok": _boolean,
}

_REMOTE_NOTIFICATION = _message(
    "RemoteNotification",
    {"notification": _ANDROID_NOTIFICATION, "mutable_content": _boolean, "use_as_v1_data_message": _boolean},
)

_MESSAGE = _message(
    "Message",
    {
        **dict.fromkeys(("name", "fid", "token", "topic", "condition"), _string),
        "data": _string_map,
        "notification": _message("Notification", dict.fromkeys(("title", "body", "image"), _string)),
        "android": _message("AndroidConfig", {**_ANDROID_COMMON, "notification": _ANDROID_NOTIFICATION}),
        "android_v2": _message(
            "AndroidConfigV2",
            {**_ANDROID_COMMON, "remote_notification": _REMOTE_NOTIFICATION, "background_sync": _object},
        ),
        "apns": _message(
            "ApnsConfig",
            {
                "headers": _string_map,
                "payload": _object,
                "fcm_options": _message(
                    "ApnsFcmOptions", dict.fromkeys(("analytics_label", "image"), _string)
                ),
                "live_activity_token": _string,
            },
        ),
        "webpush": _message(
            "WebpushConfig",
            {
                "headers": _string_map,
                "data": _string_map,
                "notification": _object,
                "fcm_options": _message(
                    "WebpushFcmOptions", dict.fromkeys(("link", "analytics_label"), _string)
                ),
            },
        ),
        "fcm_options": _FCM_OPTIONS,
    },
)

_REQUEST = _message("SendMessageRequest", {"message": _MESSAGE, "validate_only": _boolean})


def violations(request: Any) -> Violations:  # noqa: ANN401 - any JSON
    """Everything in a decoded request that the schema doesn't have or has otherwise, as (path, description)."""
    found: Violations = []
    _REQUEST("", request, found)
    return found
