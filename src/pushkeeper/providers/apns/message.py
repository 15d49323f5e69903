"""A push as APNs wants it: headers and payload. Pure.

Source: Apple, "Sending notification requests to APNs"; payload as Customer.io's SDK reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pushkeeper.core.model import Platform, Provider
from pushkeeper.providers.shared import apns_headers, payload
from pushkeeper.providers.shared.json_template import JsonTemplate, json_text
from pushkeeper.providers.transport.response import Request

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import Content, Push, Token


def root(content: Content) -> dict[str, Any]:
    """The payload as a tree, with slots for what is each device's own."""
    custom = content.custom_payload.get(Platform.IOS)
    if custom is None:
        return {**content.custom_data, **payload.apple_root(content), **payload.DELIVERY_KEYS}
    return {**_apns_form(custom), **payload.DELIVERY_KEYS}


def _apns_form(custom: dict[str, Any]) -> dict[str, Any]:
    """A custom payload as APNs takes it; one in FCM's form is unfolded as FCM itself would."""
    if "message" not in custom:
        return custom
    message = payload.as_object(custom["message"])
    unfolded = {
        **payload.as_object(message.get("data")),
        **payload.as_object(payload.as_object(message.get("apns")).get("payload")),
    }
    shown = payload.as_object(message.get("notification"))
    alert = {key: shown[key] for key in ("title", "body") if key in shown}
    if alert:
        unfolded["aps"] = {"alert": alert, **payload.as_object(unfolded.get("aps"))}
    return {"aps": payload.silent_aps(), **unfolded}


def _custom_headers(content: Content) -> dict[str, Any]:
    custom = payload.as_object(content.custom_payload.get(Platform.IOS))
    apns = payload.as_object(payload.as_object(custom.get("message")).get("apns"))
    return payload.as_object(apns.get("headers"))


@dataclass(frozen=True, slots=True)
class _Shared:
    content: Content
    form: JsonTemplate
    headers: tuple[tuple[bytes, bytes], ...]
    collapse_id: bytes | None
    expiration: bytes | None

    @classmethod
    def of(cls, content: Content) -> _Shared:
        tree = root(content)
        said = apns_headers.headers(content, _custom_headers(content), shown=payload.is_shown(tree))
        collapse_id = said.get("apns-collapse-id", content.collapse_id)
        expiration = said.get("apns-expiration", "0" if content.ttl_s == 0 else None)
        return cls(
            content,
            JsonTemplate(tree),
            tuple((name.encode(), said[name].encode()) for name in ("apns-push-type", "apns-priority")),
            None if collapse_id is None else collapse_id.encode(),
            None if expiration is None else expiration.encode(),
        )


class Composer:
    """Makes the requests of one route; what all devices of a message share is made once."""

    __slots__ = ("_expiration_text", "_keep_until", "_lead", "_shared", "_topic")

    def __init__(self, *, authority: str, topic: str) -> None:
        self._lead = (
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority.encode()),
        )
        self._topic = (b"apns-topic", topic.encode())
        self._shared: _Shared | None = None
        self._keep_until: datetime | None = None
        self._expiration_text = b""

    def request(self, push: Push, authorization: bytes | None) -> Request:
        """One push; `authorization` is the header's value, None where a certificate speaks for us."""
        shared = self._shared
        if shared is None or shared.content is not push.content:
            shared = self._shared = _Shared.of(push.content)
        identity = push.identity.encode()
        credential = ((b"authorization", authorization),) if authorization is not None else ()
        return Request(
            (
                *self._lead,
                (b":path", _path(push.token)),
                *credential,
                self._topic,
                *shared.headers,
                (b"apns-id", identity),
                (b"apns-collapse-id", shared.collapse_id or identity),
                (b"apns-expiration", shared.expiration or self._expiration(push.keep_until)),
            ),
            shared.form.fill((b'"%b"' % push.delivery_id.encode(), json_text(push.token.value))),
        )

    def _expiration(self, keep_until: datetime) -> bytes:
        # The same for all devices of a message that leave together.
        if keep_until is not self._keep_until:
            self._keep_until, self._expiration_text = keep_until, b"%d" % int(keep_until.timestamp())
        return self._expiration_text


def _path(token: Token) -> bytes:
    value = token.value
    plain = value.isascii() and value.isalnum()
    return b"/3/device/" + (value if plain else quote(value, safe="")).encode()


def check_form(content: Content, platform: Platform) -> None:
    """Refuse, before sending, what APNs would refuse whatever its size.

    Raises:
        BadRequest: a custom payload is not of APNs' or FCM's form, or custom data takes a reserved key.
        TooLarge: the collapse id is over 64 bytes.
    """
    payload.require_collapse_id(content)
    custom = content.custom_payload.get(platform)
    if custom is None:
        payload.require_free_root_keys(content)
        return
    _require_form(custom, f"custom_payload.{platform}")
    headers_field = f"custom_payload.{platform}.message.apns.headers"
    apns_headers.require(_custom_headers(content), headers_field, shown=payload.is_shown(root(content)))


def check_size(content: Content, platform: Platform, token: Token | None = None) -> None:
    """Measure the payload for a device, or for one with a token of the usual length.

    Raises:
        TooLarge: it is over 4096 bytes.
    """
    payload.require_size(size_bytes(content, token), content, platform, Provider.APNS)


def size_bytes(content: Content, token: Token | None = None) -> int:
    """The size of the payload that APNs gets, in bytes."""
    return payload.ValueSizes(Provider.APNS, token).encoded_bytes(root(content))


def _require_form(custom: dict[str, Any], field: str) -> None:
    if "message" not in custom:
        payload.require_aps(custom, field)
        return
    message = payload.require_object(custom["message"], f"{field}.message")
    payload.require_object(message.get("data"), f"{field}.message.data")
    payload.require_object(message.get("notification"), f"{field}.message.notification")
    apns = payload.require_object(message.get("apns"), f"{field}.message.apns")
    payload.require_object(apns.get("headers"), f"{field}.message.apns.headers")
    inner = payload.require_object(apns.get("payload"), f"{field}.message.apns.payload")
    payload.require_object(inner.get("aps"), f"{field}.message.apns.payload.aps")
