"""What a push says, as requests give it: the fields of a content, checked."""

from __future__ import annotations

from typing import Any

import msgspec

from pushkeeper.core.messages.liquid import is_liquid
from pushkeeper.core.model import Content, Platform, Priority
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation

MAX_TTL_S = 28 * 86_400  # FCM's longest
_OF_ONE_PLATFORM = frozenset(
    {"title", "message", "link", "image_url", "sound", "custom_data", "priority", "collapse_id", "ttl_s"}
)
_PAYLOAD_PLATFORMS = frozenset({Platform.IOS.value, Platform.ANDROID.value})


def content_of(body: dict[str, Any], within: str = "") -> Content:
    """Read a content; `within` is the place of the body (`translations.de.`), for what is refused.

    Raises:
        BadRequest: a field is malformed.
    """
    image_url = validation.optional_text(body.get("image_url"), f"{within}image_url") or None
    # What Liquid makes of it is seen when it is rendered: a phone loads nothing but https.
    if image_url is not None and not is_liquid(image_url) and not image_url.lower().startswith("https://"):
        raise BadRequest(f"{within}image_url", "expected https://…, which is all that phones load")
    sound = validation.optional_text(body.get("sound"), f"{within}sound") or None
    if sound is not None:
        sound = validation.one_of(sound, f"{within}sound", ("default", "none"))
    return Content(
        title=validation.optional_text(body.get("title"), f"{within}title") or None,
        message=validation.optional_text(body.get("message"), f"{within}message") or None,
        link=validation.optional_text(body.get("link"), f"{within}link") or None,
        image_url=image_url,
        sound=sound,
        custom_data=validation.optional_object(body.get("custom_data"), f"{within}custom_data"),
        custom_payload=_custom_payload(body.get("custom_payload"), f"{within}custom_payload"),
    )


def native_content_of(body: dict[str, Any], within: str = "") -> Content:
    """Read a content with what our own API has besides: how it is delivered, and what is otherwise on a platform.

    Raises:
        BadRequest, TooLarge: a field is malformed.
    """
    platforms = {
        platform: _otherwise(
            validation.as_object(body[platform], f"{within}{platform}"), f"{within}{platform}."
        )
        for platform in sorted(_PAYLOAD_PLATFORMS)
        if body.get(platform) is not None
    }
    return msgspec.structs.replace(content_of(body, within), **_delivered(body, within), platforms=platforms)


def _otherwise(given: dict[str, Any], within: str) -> dict[str, Any]:
    """The fields that are given, as they are kept; null takes what is common away."""
    if unknown := sorted(given.keys() - _OF_ONE_PLATFORM):
        raise BadRequest(f"{within}{unknown[0][:40]}", "there is no such field", "unknown_field")
    content = msgspec.structs.replace(content_of(given, within), **_delivered(given, within))
    return {name: getattr(content, name) for name in given}


def _delivered(body: dict[str, Any], within: str) -> dict[str, Any]:
    priority = body.get("priority")
    if priority is not None:
        priority = Priority(validation.one_of(priority, f"{within}priority", tuple(Priority)))
    return {
        "priority": priority,
        "collapse_id": validation.optional_text(body.get("collapse_id"), f"{within}collapse_id") or None,
        "ttl_s": validation.optional_whole(body.get("ttl_s"), f"{within}ttl_s", least=0, most=MAX_TTL_S),
    }


def _custom_payload(given: object, field: str) -> dict[str, dict[str, Any]]:
    payloads = validation.optional_object(given, field)
    if unknown := sorted(set(payloads) - _PAYLOAD_PLATFORMS):
        raise BadRequest(field, f"expected ios or android, not {unknown[0][:40]!r}")
    return {
        platform: validation.as_object(payload, f"{field}.{platform}")
        for platform, payload in payloads.items()
        if payload is not None
    }
