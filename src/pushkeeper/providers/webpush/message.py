"""A push as a browser's push service wants it: headers, and the payload that the service worker reads. Pure.

Sources: RFC 8030 (headers), RFC 8291 (body); the payload as Customer.io's service worker reads it.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from pushkeeper.core.messages.liquid import is_liquid
from pushkeeper.core.model import Platform, Priority, Provider
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.providers.shared import payload
from pushkeeper.providers.shared.json_template import JsonTemplate, json_text
from pushkeeper.providers.transport.response import Request
from pushkeeper.providers.webpush import encryption

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import Content, Push, Token

# A record holds 3,993 bytes of payload (RFC 8291, 4), and every push service takes one record. What is left is room for
# services that count more than the body.
MAX_PAYLOAD_BYTES = 3900
MAX_TTL_S = 28 * 86_400
MAX_ACTION_TITLE = 32
_TOPIC_BYTES = 24  # 32 characters: the longest that RFC 8030, 5.4 allows
_ACTION = re.compile(r"[a-z0-9_-]{1,32}")
_URGENCIES = {None: b"high", Priority.HIGH: b"high", Priority.NORMAL: b"normal"}
_TEXTS = ("title", "body", "image", "icon", "badge", "link")


def root(content: Content) -> dict[str, Any]:
    """The payload as a tree, with slots for what is each device's own."""
    custom = content.custom_payload.get(Platform.WEB)
    if custom is not None:
        return {**custom, **payload.DELIVERY_KEYS}
    shown = {
        "title": content.title,
        "body": content.message,
        "image": content.image_url,
        "link": content.link,
    }
    given: dict[str, Any] = {name: text for name, text in shown.items() if text}
    if content.custom_data:
        # Apart, as a phone's custom data may have the names of what the worker shows.
        given["data"] = content.custom_data
    return {**given, **payload.DELIVERY_KEYS}


class Address(NamedTuple):
    """An endpoint, taken apart: its origin and its path with the query."""

    host: str
    port: int
    authority: str
    path: str

    @property
    def origin(self) -> str:
        return f"https://{self.authority}"

    @classmethod
    def of(cls, endpoint: str) -> Address:
        """Read an endpoint.

        Raises:
            BadRequest: it is no https URL with a host.
        """
        try:
            parts = urlsplit(endpoint)
            host, port = parts.hostname, parts.port or 443
        except ValueError:
            host, port = None, 0
        if not host or parts.scheme != "https" or parts.username is not None:
            raise BadRequest("endpoint", "must be an https URL with a host.")
        shown = f"[{host}]" if ":" in host else host
        authority = shown if port == 443 else f"{shown}:{port}"  # noqa: PLR2004 - HTTPS
        return cls(host, port, authority, f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}")


@dataclass(frozen=True, slots=True)
class _Shared:
    content: Content
    form: JsonTemplate
    urgency: bytes
    topic: bytes | None

    @classmethod
    def of(cls, content: Content) -> _Shared:
        topic = None if content.collapse_id is None else _topic(content.collapse_id)
        return cls(content, JsonTemplate(root(content)), _URGENCIES[content.priority], topic)


class Composer:
    """Makes requests; what all devices of a message share is made once."""

    __slots__ = ("_shared",)

    def __init__(self) -> None:
        self._shared: _Shared | None = None

    def request(self, push: Push, to: Address, authorization: bytes, now: datetime) -> Request:
        """One push, encrypted; `authorization` is the header's value, and `now` what its time to live counts from.

        Raises:
            BadRequest: it is for no browser.
        """
        if push.browser is None:
            raise BadRequest("keys", "are missing.", "missing")
        shared = self._shared
        if shared is None or shared.content is not push.content:
            shared = self._shared = _Shared.of(push.content)
        plaintext = shared.form.fill((b'"%b"' % push.delivery_id.encode(), json_text(push.token.value)))
        ttl_s = min(max(int((push.keep_until - now).total_seconds()), 0), MAX_TTL_S)
        return Request(
            (
                (b":method", b"POST"),
                (b":scheme", b"https"),
                (b":authority", to.authority.encode()),
                (b":path", to.path.encode()),
                (b"authorization", authorization),
                (b"content-type", b"application/octet-stream"),
                (b"content-encoding", b"aes128gcm"),
                (b"ttl", b"%d" % ttl_s),
                (b"urgency", shared.urgency),
                (b"topic", shared.topic or _topic(push.identity)),
            ),
            encryption.encrypted(plaintext, push.browser),
        )


def _topic(name: str) -> bytes:
    """32 URL-safe characters: a push with the same replaces the one that waits."""
    return urlsafe_b64encode(sha256(name.encode()).digest()[:_TOPIC_BYTES])


def check_form(content: Content, platform: Platform) -> None:
    """Refuse, before sending, what no service worker could show.

    Raises:
        BadRequest: a custom payload is not of the form that the service worker reads.
        TooLarge: the collapse id is over 64 bytes.
    """
    payload.require_collapse_id(content)
    custom = content.custom_payload.get(platform)
    if custom is not None:
        _require_form(custom, f"custom_payload.{platform}")


def _require_form(custom: dict[str, Any], field: str) -> None:
    for name in _TEXTS:
        if not isinstance(custom.get(name), str | None):
            raise BadRequest(f"{field}.{name}", "must be a text.")
    actions = custom.get("actions")
    if actions is None:
        return
    if not isinstance(actions, list):
        raise BadRequest(f"{field}.actions", "must be a list.")
    for number, action in enumerate(actions):
        _require_action(action, f"{field}.actions[{number}]")


def _require_action(action: object, field: str) -> None:
    given = payload.require_object(action, field)
    name, title, url = given.get("action"), given.get("title"), given.get("url")
    if not isinstance(name, str) or not (is_liquid(name) or _ACTION.fullmatch(name)):
        raise BadRequest(f"{field}.action", "must be 1 to 32 lower-case letters, digits, '-' and '_'.")
    if not isinstance(title, str) or not title or (len(title) > MAX_ACTION_TITLE and not is_liquid(title)):
        raise BadRequest(f"{field}.title", f"must be a text of {MAX_ACTION_TITLE} characters at most.")
    if url is not None and not (isinstance(url, str) and (is_liquid(url) or url.startswith("https://"))):
        raise BadRequest(f"{field}.url", "must be an https URL.")


def check_size(content: Content, platform: Platform, token: Token | None = None) -> None:
    """Measure the payload for a device, or for one with an endpoint of the usual length.

    Raises:
        TooLarge: it is over 3900 bytes.
    """
    size = size_bytes(content, token)
    if size > MAX_PAYLOAD_BYTES:
        raise TooLarge(
            payload.largest_field(content, platform),
            f"makes the push for {platform} {size} bytes; browsers' push services accept at most {MAX_PAYLOAD_BYTES}.",
        )


def size_bytes(content: Content, token: Token | None = None) -> int:
    """The size of the payload before it is encrypted, in bytes."""
    return payload.ValueSizes(Provider.WEBPUSH, token).encoded_bytes(root(content))
