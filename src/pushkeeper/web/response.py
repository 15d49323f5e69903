"""Responses, whole or streamed, with the request ID that identifies them in the log."""

from __future__ import annotations

import gzip
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pushkeeper.store.db import patience

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Send

    from pushkeeper.core.delivery.delivery_id import DeliveryId

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json; charset=utf-8"
HTML = b"text/html; charset=utf-8"
CSV = b"text/csv; charset=utf-8"
JSONL = b"application/jsonl; charset=utf-8"
EVENTS = b"text/event-stream; charset=utf-8"

# Browsers are to take nothing for something else.
_GUARD = (b"x-content-type-options", b"nosniff")
# What people and devices are called is in it: no cache between is to keep it.
_NOT_KEPT = (b"cache-control", b"no-store")
# For pages: no other origins, no inline code, no frames; forms only to this origin.
_POLICY = (
    b"default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
PAGE_GUARDS: Headers = (
    (b"content-security-policy", _POLICY),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
VARIES = (b"vary", b"accept-encoding")
ZIPPED = (b"content-encoding", b"gzip")
_WORTH_ZIPPING_BYTES = 800
_ZIP_LEVEL = 5
_SEE_OTHER = 303


@dataclass(frozen=True, slots=True)
class Response:
    """A status, a body, and what headers there are beside those that every response has.

    Attributes:
        delivery_id: for the log, where the request is about one delivery.
        parts: the body of a response that is written while it is sent; an empty part shows progress, and sends nothing.
        kept: caches may keep it.
    """

    body: bytes = b""
    status: int = 200
    headers: Headers = ()
    content_type: bytes = JSON
    delivery_id: DeliveryId | None = None
    parts: AsyncGenerator[bytes, None] | None = None
    kept: bool = False

    def with_headers(self, *more: tuple[bytes, bytes]) -> Response:
        """The same with more headers."""
        return replace(self, headers=(*self.headers, *more))

    def zipped(self, *, accepted: bool) -> Response:
        """The same for a browser: zipped if it accepts that, and it is worth it."""
        if self.parts is not None:
            return self
        if not accepted or len(self.body) < _WORTH_ZIPPING_BYTES:
            return self.with_headers(VARIES)
        return replace(self.with_headers(VARIES, ZIPPED), body=gzip.compress(self.body, _ZIP_LEVEL))

    async def send(self, send: Send, request_id: str, more: Headers = (), *, head: bool = False) -> None:
        """Send it with more headers, without its body for a HEAD request."""
        headers = [
            (b"content-type", self.content_type),
            (b"x-request-id", request_id.encode()),
            _GUARD,
            *(() if self.kept else (_NOT_KEPT,)),
            *more,
            *self.headers,
        ]
        if self.parts is None:
            headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if self.parts is not None and not head:
            async with aclosing(self.parts) as parts:
                async for part in parts:
                    patience.renew()
                    if part:
                        await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"" if head else self.body})


def empty(delivery_id: DeliveryId | None = None) -> Response:
    """Done, and nothing to say."""
    return Response(status=204, delivery_id=delivery_id)


def about(delivery_id: DeliveryId, value: object) -> Response:
    """A response of this value, about one delivery."""
    return Response(msgspec.json.encode(value), delivery_id=delivery_id)


def of_json(value: object, status: int = 200, *headers: tuple[bytes, bytes]) -> Response:
    """A response of this value; times are ISO 8601, in UTC."""
    return Response(msgspec.json.encode(value), status, headers)


def download(name: str, parts: AsyncGenerator[bytes, None], *headers: tuple[bytes, bytes]) -> Response:
    """A file of this name, of CSV or JSON lines, that is written while it is sent."""
    disposition = (b"content-disposition", f'attachment; filename="{name}"'.encode())
    kind = JSONL if name.endswith(".jsonl") else CSV
    return Response(parts=parts, content_type=kind, headers=(disposition, *headers))


def see_other(path: str, *headers: tuple[bytes, bytes]) -> Response:
    """After a change: look there."""
    return Response(status=_SEE_OTHER, headers=((b"location", path.encode()), *headers), content_type=HTML)
