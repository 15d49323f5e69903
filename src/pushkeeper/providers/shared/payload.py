"""What Customer.io's SDKs look for in a push, on either road to a phone. Pure.

Source: customerio-ios and customerio-android; both delivery keys must be there, or the SDK takes the push for another's.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.delivery import delivery_id
from pushkeeper.core.messages.liquid import is_liquid
from pushkeeper.core.model import Priority, Provider
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.providers.shared.json_template import JsonTemplate, Placeholder, Slot, json_text

if TYPE_CHECKING:
    from pushkeeper.core.model import Content, Platform, Token

MAX_BYTES = 4096
MAX_COLLAPSE_ID_BYTES = 64
# Room for a device's own values when the devices are not known yet: APNs guarantees no length of a token.
_USUAL_TOKEN_CHARACTERS = {Provider.APNS: 64, Provider.FCM: 163, Provider.WEBPUSH: 250}

_IDENTITY_CHARACTERS = 36

DELIVERY_KEYS: dict[str, Any] = {
    "CIO-Delivery-ID": Slot(Placeholder.DELIVERY_ID),
    "CIO-Delivery-Token": Slot(Placeholder.TOKEN),
}
_BESIDE_APS = frozenset({"aps", "CIO", *DELIVERY_KEYS})


def apple_root(content: Content, *, push: dict[str, Any] | None = None) -> dict[str, Any]:
    """The payload that Apple is given: `aps` and `CIO`, without custom data and delivery keys.

    `push` is what else belongs into `CIO.push`.
    """
    shown = {
        **(push or {}),
        **_present(link=content.link, image=content.image_url),
    }
    root: dict[str, Any] = {"aps": _aps(content)}
    if shown:
        root["CIO"] = {"push": shown}
    return root


def _aps(content: Content) -> dict[str, Any]:
    alert = _present(title=content.title, body=content.message)
    if not alert:
        return silent_aps()
    aps: dict[str, Any] = {"mutable-content": 1, "alert": alert}
    if content.sound != "none":
        aps["sound"] = content.sound or "default"
    return aps


def is_shown(root: dict[str, Any]) -> bool:
    """Whether a payload has anything for the phone's owner to see or hear."""
    return bool(as_object(root.get("aps")).keys() & {"alert", "badge", "sound"})


def silent_aps() -> dict[str, Any]:
    """The `aps` of a push that only wakes the app."""
    return {"content-available": 1}


def apns_priority(content: Content, *, background: bool) -> str:
    """Apple's number for how much it matters; what shows nothing may not matter most."""
    return "5" if background or content.priority == Priority.NORMAL else "10"


def strings(values: dict[str, Any]) -> dict[str, str]:
    """FCM takes strings alone: anything else becomes its JSON, and null an empty string."""
    return {key: _string(value) for key, value in values.items()}


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def as_object(value: object) -> dict[str, Any]:
    """A JSON object, or an empty one instead of anything else."""
    return value if isinstance(value, dict) else {}


def text_fields(content: Content) -> dict[str, str]:
    """Title and body under FCM's names, those that there are."""
    return _present(title=content.title, body=content.message)


def _present(**texts: str | None) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}


def require_object(value: object, field: str) -> dict[str, Any]:
    """The object at `field` of a custom payload, empty when absent.

    Raises:
        BadRequest: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(field, "must be an object.")
    return value


def require_aps(custom: dict[str, Any], field: str) -> None:
    """A custom payload in APNs' form has an `aps`.

    Raises:
        BadRequest: it has none, or one that is no object.
    """
    if not isinstance(custom.get("aps"), dict):
        raise BadRequest(f"{field}.aps", "must be an object.")


def require_free_root_keys(content: Content) -> None:
    """Custom data lands beside `aps` on an iPhone.

    Raises:
        BadRequest: one of its keys is Apple's or ours.
    """
    for key in content.custom_data:
        if key in _BESIDE_APS:
            field = f"custom_data.{key}"
            raise BadRequest(field, "is reserved: the key has a meaning of its own in a push.")


def is_header_value(text: str) -> bool:
    """Whether a text can be the value of an HTTP/2 header (RFC 9113, 8.2.1)."""
    return text == text.strip() and not any(unicodedata.category(letter) == "Cc" for letter in text)


def require_collapse_id(content: Content) -> None:
    """Refuse a collapse id that is too long, or is not a valid header value for APNs.

    Raises:
        TooLarge: it is longer.
        BadRequest: it contains a control character, or starts or ends with a blank.
    """
    collapse_id = content.collapse_id
    if collapse_id is None or is_liquid(collapse_id):
        return
    if len(collapse_id.encode()) > MAX_COLLAPSE_ID_BYTES:
        raise TooLarge("collapse_id", f"cannot be longer than {MAX_COLLAPSE_ID_BYTES} bytes")
    if not is_header_value(collapse_id):
        raise BadRequest("collapse_id", "cannot contain control characters, or start or end with a blank")


class ValueSizes:
    """The sizes of a device's values in a payload: of a given device, or of a typical one."""

    __slots__ = ("_values",)

    def __init__(self, provider: Provider, token: Token | None) -> None:
        text = "x" * _USUAL_TOKEN_CHARACTERS[provider] if token is None else token.value
        self._values = (
            b'"%b"' % (b"x" * delivery_id.CHARACTERS),
            json_text(text),
            b'"%b"' % (b"x" * _IDENTITY_CHARACTERS),
        )

    def encoded_bytes(self, tree: dict[str, Any]) -> int:
        """How long a payload is as JSON."""
        return len(JsonTemplate(tree).fill(self._values))

    def weight_bytes(self, value: Any) -> int:  # noqa: ANN401 - any JSON
        """The bytes of only the keys and values, as Google counts them."""
        match value:
            case Slot(hole=hole):
                return len(self._values[hole]) - 2
            case dict():
                return sum(len(key.encode()) + self.weight_bytes(inner) for key, inner in value.items())
            case list():
                return sum(map(self.weight_bytes, value))
            case str():
                return len(value.encode())
            case None:
                return 0
            case _:
                return len(msgspec.json.encode(value))


def require_size(size_bytes: int, content: Content, platform: Platform, provider: Provider) -> None:
    """Raise TooLarge, naming the field that takes most, when a payload is over what the push services take."""
    if size_bytes <= MAX_BYTES:
        return
    field = largest_field(content, platform)
    service = {Provider.APNS: "APNs", Provider.FCM: "FCM"}[provider]
    raise TooLarge(
        field,
        f"makes the push for {platform} {size_bytes} bytes; {service} accepts at most {MAX_BYTES}.",
    )


def largest_field(content: Content, platform: Platform) -> str:
    """The field that takes most of a push."""
    if platform.value in content.custom_payload:
        return f"custom_payload.{platform}"
    sizes = {
        "message": len((content.message or "").encode()),
        "title": len((content.title or "").encode()),
        "link": len((content.link or "").encode()),
        "image_url": len((content.image_url or "").encode()),
        "custom_data": len(msgspec.json.encode(content.custom_data)),
    }
    return max(sizes, key=sizes.__getitem__)
