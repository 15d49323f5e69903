"""What an author says to APNs by the headers of a custom payload, on either way to an iPhone. Pure.

Source: Apple, "Sending notification requests to APNs"; FCM REST v1 `ApnsConfig.headers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.core.messages.liquid import is_liquid
from pushkeeper.errors import BadRequest
from pushkeeper.providers.shared import payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushkeeper.core.model import Content

_PUSH_TYPES = ("alert", "background")
_PRIORITIES = ("1", "5", "10")
_LATEST = 10**12  # seconds: more is a time in milliseconds


def _one_of(*values: str) -> Callable[[str], bool]:
    return lambda text: text in values


def _is_collapse_id(text: str) -> bool:
    is_short = 0 < len(text.encode()) <= payload.MAX_COLLAPSE_ID_BYTES
    return is_short and payload.is_header_value(text)


def _is_expiration(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) < _LATEST


_TAKEN: dict[str, tuple[str, Callable[[str], bool]]] = {
    "apns-push-type": ("alert or background", _one_of(*_PUSH_TYPES)),
    "apns-priority": ("1, 5 or 10", _one_of(*_PRIORITIES)),
    "apns-collapse-id": (
        f"a text of {payload.MAX_COLLAPSE_ID_BYTES} bytes at most, without control characters",
        _is_collapse_id,
    ),
    "apns-expiration": ("seconds since 1970, or 0", _is_expiration),
}


def headers(content: Content, given: dict[str, Any], *, shown: bool) -> dict[str, str]:
    """Push type and priority of a payload, and what else the author gave, by their names in lower case.

    `given` is as the author wrote it, and `shown` whether the payload shows anything; what `require` would refuse counts
    as absent.
    """
    said = {name: text for name, text in _as_text(given).items() if name in _TAKEN and _TAKEN[name][1](text)}
    push_type = said.get("apns-push-type", _push_type(shown=shown))
    priority = said.get("apns-priority", "")
    if not priority or _refused_priority(push_type, priority, shown=shown):
        priority = payload.apns_priority(content, background=push_type == "background" or not shown)
    return {**said, "apns-push-type": push_type, "apns-priority": priority}


def require(given: dict[str, Any], field: str, *, shown: bool) -> None:
    """Reject headers that would not reach Apple unchanged; texts are not rendered yet.

    Raises:
        BadRequest: a header that is not passed on, or not with this value.
    """
    named: set[str] = set()
    for name, value in given.items():
        where, low = f"{field}.{name}", name.lower()
        if low in named:
            raise BadRequest(where, "is given twice.")
        named.add(low)
        if low not in _TAKEN:
            taken = ", ".join(_TAKEN)
            raise BadRequest(where, f"is not passed on; those that are: {taken}.")
        if value is None or (isinstance(value, str) and is_liquid(value)):
            continue
        expected, fits = _TAKEN[low]
        text = _text(value)
        if text is None or not fits(text):
            raise BadRequest(where, f"must be {expected}.")
    said = _as_text(given)
    push_type = said.get("apns-push-type", _push_type(shown=shown))
    if refused := _refused_priority(push_type, said.get("apns-priority", ""), shown=shown):
        where = f"{field}.apns-priority"
        raise BadRequest(where, f"must be {refused}.")


def _refused_priority(push_type: str, priority: str, *, shown: bool) -> str:
    """What the priority must be instead; "" if it is allowed."""
    if push_type == "background" and priority not in {"", "5"}:
        return "5 for a background push"
    return "5 or 1 for a push that shows nothing" if not shown and priority == "10" else ""


def _push_type(*, shown: bool) -> str:
    return "alert" if shown else "background"


def _as_text(given: dict[str, Any]) -> dict[str, str]:
    found = {name.lower(): _text(value) for name, value in given.items()}
    return {name: text for name, text in found.items() if text is not None}


def _text(value: object) -> str | None:
    """A text, or a whole number as people write them (5.0 is one in JSON); None of anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
