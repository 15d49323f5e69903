"""What is sent back to a browser: whole or as it is written, zipped, and with what keeps other sites out of it."""

from __future__ import annotations

import gzip
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pushkeeper.store.db import patience

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Send

HTML = b"text/html; charset=utf-8"
CSV = b"text/csv; charset=utf-8"
JSON = b"application/json; charset=utf-8"
EVENTS = b"text/event-stream; charset=utf-8"

# Nothing from elsewhere, nothing inline, in nobody's frame; forms lead back to us.
_POLICY = (
    b"default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_GUARDS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
# What people and devices are called is on these pages: no cache between is to keep them.
_NOT_KEPT = (b"cache-control", b"no-store")
_WORTH_ZIPPING_BYTES = 800
_ZIP_LEVEL = 5
SEE_OTHER = 303

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResponse:
    """A page, or the parts of a file that is written while it is sent."""

    body: bytes = b""
    parts: AsyncGenerator[bytes, None] | None = None
    status: int = 200
    content_type: bytes = HTML
    headers: Headers = ()
    kept: bool = False

    def with_headers(self, *more: tuple[bytes, bytes]) -> PageResponse:
        """The same with more headers."""
        return replace(self, headers=(*self.headers, *more))

    async def send(self, send: Send, *, request_id: str, zipped: bool, head: bool) -> None:
        """Send it: zipped if the browser reads that, without its body if only the head was asked for."""
        headers = [
            (b"content-type", self.content_type),
            (b"x-request-id", request_id.encode()),
            *_GUARDS,
            *(() if self.kept else (_NOT_KEPT,)),
            *self.headers,
        ]
        if self.parts is not None:
            await self._send_parts(send, headers, head=head)
            return
        body = self.body
        if zipped and len(body) >= _WORTH_ZIPPING_BYTES:
            body = gzip.compress(body, _ZIP_LEVEL)
            headers.append((b"content-encoding", b"gzip"))
        headers += [(b"content-length", b"%d" % len(body)), (b"vary", b"accept-encoding")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})

    async def _send_parts(self, send: Send, headers: list[tuple[bytes, bytes]], *, head: bool) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if self.parts is not None and not head:
            async with aclosing(self.parts) as parts:
                async for part in parts:
                    patience.renew()
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def led_to(path: str, *headers: tuple[bytes, bytes]) -> PageResponse:
    """After a change: look there."""
    return PageResponse(status=SEE_OTHER, headers=((b"location", path.encode()), *headers))
