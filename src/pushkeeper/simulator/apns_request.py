"""What APNs requires of a request's headers and body, for any token (providers.md 2.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushkeeper.simulator.exchange import Request

Refusal: TypeAlias = tuple[int, str]

_UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOPIC = re.compile(rb"[A-Za-z0-9.-]{1,255}")
_SUFFIXES: Mapping[bytes, bytes] = {
    b"alert": b"",
    b"background": b"",
    b"mdm": b"",
    b"voip": b".voip",
    b"complication": b".complication",
    b"fileprovider": b".pushkit.fileprovider",
    b"liveactivity": b".push-type.liveactivity",
    b"location": b".location-query",
    b"widgets": b".push-type.widgets",
    b"controls": b".push-type.controls",
    b"pushtotalk": b".voip-ptt",
}
_PRIORITIES = frozenset({b"10", b"5", b"1"})
_LONGEST_COLLAPSE_ID_BYTES = 64
_LARGEST_BYTES = 4096
_LARGEST_VOIP_BYTES = 5120


def refused(request: Request) -> Refusal | None:
    """The (status, reason) with which a malformed request is rejected, None if it is valid."""
    return _refused_headers(request) or _refused_topic(request.fields) or _refused_body(request)


def _refused_headers(request: Request) -> Refusal | None:
    fields = request.fields
    reason = ""
    if len(fields) != len(request.headers):
        reason = "DuplicateHeaders"
    elif b"apns-id" in fields and not _UUID.fullmatch(fields[b"apns-id"]):
        reason = "BadMessageId"
    elif not fields.get(b"apns-expiration", b"0").isdigit():
        reason = "BadExpirationDate"
    elif len(fields.get(b"apns-collapse-id", b"")) > _LONGEST_COLLAPSE_ID_BYTES:
        reason = "BadCollapseId"
    else:
        push_type = fields.get(b"apns-push-type", b"alert")
        priority = fields.get(b"apns-priority", b"10")
        if push_type not in _SUFFIXES:
            reason = "InvalidPushType"
        elif priority not in _PRIORITIES or (push_type == b"background" and priority != b"5"):
            reason = "BadPriority"
    return (400, reason) if reason else None


def _refused_topic(fields: Mapping[bytes, bytes]) -> Refusal | None:
    topic = fields.get(b"apns-topic")
    if topic is None:
        return None
    suffix = _SUFFIXES[fields.get(b"apns-push-type", b"alert")]
    return None if _TOPIC.fullmatch(topic) and topic.endswith(suffix) else (400, "BadTopic")


def _refused_body(request: Request) -> Refusal | None:
    voip = request.fields.get(b"apns-push-type") == b"voip"
    if len(request.body) > (_LARGEST_VOIP_BYTES if voip else _LARGEST_BYTES):
        return 413, "PayloadTooLarge"
    try:
        payload = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        payload = None
    # Apple names no reason for a body that isn't a JSON object; it is as good as none.
    return None if isinstance(payload, dict) and payload else (400, "PayloadEmpty")
