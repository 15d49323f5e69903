"""What FCM asks of a message beyond its schema: one target, sane times, a size, no reserved keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.simulator import fcm_errors, fcm_schema, fcm_topics, fcm_values

if TYPE_CHECKING:
    from pushkeeper.simulator.fcm_errors import Decision

_TARGETS = ("token", "fid", "topic", "condition")
_LARGEST_BYTES = 4096
_LARGEST_TOPIC_BYTES = 2048
_SHOWN = frozenset({"alert", "badge", "sound"})


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A well-formed send.

    Attributes:
        kind: one of the four targets.
        urgent_data: it shows nothing, and yet asks Apple for priority 10, which Google refuses for an iPhone ("Set the
            priority of a message").
    """

    kind: str
    target: str
    dry_run: bool
    urgent_data: bool = False


def read(body: bytes) -> SendRequest | Decision:
    """Read a request's body; what is wrong with it is answered as FCM answers it."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return fcm_errors.malformed([("", "Invalid JSON payload received. Unexpected token.")])
    if found := fcm_schema.violations(request):
        return fcm_errors.malformed(found)
    message = request.get("message") or {}
    named = [kind for kind in _TARGETS if message.get(kind)]
    if not named:
        return fcm_errors.FORMS["no_recipient"]
    if len(named) > 1:
        return fcm_errors.invalid("message", "Exactly one of token, fid, topic or condition must be set.")
    refusal = (
        _refused_target(message) or _refused_content(message) or _refused_size(message, len(body), named[0])
    )
    if refusal is not None:
        return refusal
    dry_run = request.get("validate_only", request.get("validateOnly")) is True
    return SendRequest(named[0], message[named[0]], dry_run, _is_urgent_data(message))


def _refused_target(message: dict[str, Any]) -> Decision | None:
    topic, condition = message.get("topic"), message.get("condition")
    if topic and not fcm_topics.is_topic(topic):
        return fcm_errors.invalid("message.topic", "Invalid topic name.")  # the words are ours
    if condition and not fcm_topics.is_condition(condition):
        return fcm_errors.invalid("message.condition", "Invalid condition expression provided.")
    return None


def _is_urgent_data(message: dict[str, Any]) -> bool:
    apns = message.get("apns") or {}
    priorities = [
        value for name, value in (apns.get("headers") or {}).items() if name.lower() == "apns-priority"
    ]
    aps = (apns.get("payload") or {}).get("aps")
    shown = message.get("notification") or (isinstance(aps, dict) and aps.keys() & _SHOWN)
    return (
        priorities == ["10"]
        and not shown
        and not apns.get("live_activity_token", apns.get("liveActivityToken"))
    )


def target_of(body: bytes) -> str:
    """The token of a rejected request, as far as it can be read; "" if it can't."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    message = request.get("message") if isinstance(request, dict) else None
    if not isinstance(message, dict):
        return ""
    return next((named for kind in _TARGETS if isinstance(named := message.get(kind), str)), "")


def _refused_content(message: dict[str, Any]) -> Decision | None:
    fault = fcm_values.fault(message)
    return None if fault is None else fcm_errors.invalid(*fault)


def _refused_size(message: dict[str, Any], body_bytes: int, kind: str) -> Decision | None:
    limit = _LARGEST_BYTES if kind in {"token", "fid"} else _LARGEST_TOPIC_BYTES
    # A message is never larger than the request that it came in.
    return fcm_errors.FORMS["bare"] if body_bytes > limit and size_bytes(message) > limit else None


def size_bytes(message: dict[str, Any]) -> int:
    """The size of a message: its keys and values, and for an iPhone the JSON that APNs would get."""
    android = [message.get("android"), fcm_values.get(message, "android_v2")]
    blocks = [message.get("notification"), message.get("data")]
    for block in filter(None, android):
        shown = fcm_values.get(block, "remote_notification") or {}
        blocks += [block.get("data"), block.get("notification"), shown.get("notification")]
    weight = sum(map(_weight, blocks))
    payload = (message.get("apns") or {}).get("payload")
    if not payload:
        return weight
    # On iPhones, data is beside aps.
    return max(weight, len(msgspec.json.encode({**(message.get("data") or {}), **payload})))


def _weight(value: Any) -> int:  # noqa: ANN401 - any JSON
    """Bytes of keys and values."""
    match value:
        case dict():
            return sum(len(key.encode()) + _weight(item) for key, item in value.items())
        case list():
            return sum(_weight(item) for item in value)
        case str():
            return len(value.encode())
        case None:
            return 0
        case _:
            return len(msgspec.json.encode(value))
