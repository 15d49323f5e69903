"""What a push says, as requests give it: the fields of a content, checked."""

from __future__ import annotations

from typing import Any

from pushkeeper.core.messages.liquid import is_liquid
from pushkeeper.core.model import Content, Platform
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation

_PAYLOAD_PLATFORMS = frozenset(platform.value for platform in Platform)


def content_of(body: dict[str, Any]) -> Content:
    """Read a content, leniently: fields that it does not have are passed over.

    Raises:
        BadRequest: a field is malformed.
    """
    image_url = validation.optional_text(body.get("image_url"), "image_url") or None
    # What Liquid makes of it is seen when it is rendered: a phone loads nothing but https.
    if image_url is not None and not is_liquid(image_url) and not image_url.lower().startswith("https://"):
        raise BadRequest("image_url", "expected an https:// URL; devices load no others")
    sound = validation.optional_text(body.get("sound"), "sound") or None
    if sound is not None:
        sound = validation.one_of(sound, "sound", ("default", "none"))
    return Content(
        title=validation.optional_text(body.get("title"), "title") or None,
        message=validation.optional_text(body.get("message"), "message") or None,
        link=validation.optional_text(body.get("link"), "link") or None,
        image_url=image_url,
        sound=sound,
        custom_data=validation.optional_object(body.get("custom_data"), "custom_data"),
        custom_payload=_custom_payload(body.get("custom_payload")),
    )


def _custom_payload(given: object) -> dict[str, dict[str, Any]]:
    field = "custom_payload"
    payloads = validation.optional_object(given, field)
    if unknown := sorted(set(payloads) - _PAYLOAD_PLATFORMS):
        raise BadRequest(field, f"expected ios, android or web, not {unknown[0][:40]!r}")
    return {
        platform: validation.as_object(payload, f"{field}.{platform}")
        for platform, payload in payloads.items()
        if payload is not None
    }
