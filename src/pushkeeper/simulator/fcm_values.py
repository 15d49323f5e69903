"""What FCM requires of the values in a message beyond their types: bounds and formats."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Fault: TypeAlias = tuple[str, str]

_LONGEST_TTL_S = 2_419_200
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_ANALYTICS_LABEL = re.compile(r"[a-zA-Z0-9-_.~%]{1,50}")
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_RESERVED_KEYS = frozenset({"from", "message_type", "gcm"})
_RESERVED_PREFIXES = ("google.", "gcm.notification.")


def fault(message: dict[str, Any]) -> Fault | None:
    """The first value that is refused, as (path, description); the descriptions of values are in our words."""
    return next(_faults(message), None)


def get(block: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON
    """A field in either spelling; None where it is absent."""
    first, *rest = name.split("_")
    return block.get(name, block.get(first + "".join(word.title() for word in rest)))


def _faults(message: dict[str, Any]) -> Iterator[Fault]:
    android, android_v2 = message.get("android"), get(message, "android_v2")
    if android is not None and android_v2 is not None:
        yield "message.android_v2", "Only one of android and android_v2 may be set."
    yield from _data("message", message)
    yield from _label("message", message)
    for path, block in (("message.android", android), ("message.android_v2", android_v2)):
        yield from _android(path, block or {})
    apns = message.get("apns") or {}
    payload = apns.get("payload")
    if payload and not isinstance(payload.get("aps"), dict):
        yield "message.apns.payload", "The payload has no aps dictionary."
    yield from _label("message.apns", apns)
    webpush = message.get("webpush") or {}
    yield from _label("message.webpush", webpush)
    link = (get(webpush, "fcm_options") or {}).get("link")
    if link and not link.startswith("https://"):
        yield "message.webpush.fcm_options.link", "The link must be an HTTPS URL."


def _android(path: str, block: dict[str, Any]) -> Iterator[Fault]:
    if block.get("ttl") and not 0 <= float(block["ttl"][:-1]) <= _LONGEST_TTL_S:
        yield f"{path}.ttl", f"Invalid ttl: must be between 0 and {_LONGEST_TTL_S} seconds"
    yield from _data(path, block)
    yield from _label(path, block)
    yield from _notification(f"{path}.notification", block.get("notification") or {})
    shown = (get(block, "remote_notification") or {}).get("notification") or {}
    yield from _notification(f"{path}.remote_notification.notification", shown)


def _notification(path: str, block: dict[str, Any]) -> Iterator[Fault]:
    if (color := block.get("color")) and not _COLOR.fullmatch(color):
        yield f"{path}.color", "Invalid color: must be in the form #RRGGBB"
    event_time = get(block, "event_time")
    if event_time is not None and not _is_timestamp(event_time):
        yield f"{path}.event_time", f"Invalid value at '{path}.event_time' (Timestamp)"
    light = get(block, "light_settings") or {}
    for name, value in (light.get("color") or {}).items():
        if value is not None and not 0 <= value <= 1:
            yield f"{path}.light_settings.color.{name}", "Must be in the interval [0, 1]."


def _is_timestamp(text: str) -> bool:
    found = _TIMESTAMP.fullmatch(text)
    try:
        return found is not None and datetime.fromisoformat(found[1] + found[2]) is not None
    except ValueError:
        return False


def _data(path: str, block: dict[str, Any]) -> Iterator[Fault]:
    for key in block.get("data") or ():
        if key in _RESERVED_KEYS or key.startswith(_RESERVED_PREFIXES):
            yield f"{path}.data", f"Invalid data payload key: {key}"


def _label(path: str, block: dict[str, Any]) -> Iterator[Fault]:
    label = get(get(block, "fcm_options") or {}, "analytics_label")
    if label and not _ANALYTICS_LABEL.fullmatch(label):
        yield f"{path}.fcm_options.analytics_label", "Invalid analytics label."
