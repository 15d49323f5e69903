"""What came back for one request, before anyone reads a meaning into it. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from pushkeeper.core.delivery.outcome import Silence


class Request(msgspec.Struct, frozen=True, gc=False):
    """One HTTP/2 request: all header fields, pseudo-headers first and names in lower case, and the whole body."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Response(msgspec.Struct, frozen=True, gc=False):
    """A complete response. `headers` are as received, without the `:status` pseudo-header."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first field of this lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class NoResponse:
    """Why there is no response; `detail` is for people (an errno, an RST code, a GOAWAY's debug text).

    `certificate_refused` marks the server's TLS alert on our own client certificate, `no_http2` a server that speaks
    HTTP/1.1 alone, and `not_permitted` an address that may not be called.
    """

    silence: Silence
    detail: str = ""
    certificate_refused: bool = False
    no_http2: bool = False
    not_permitted: bool = False


Answer: TypeAlias = Response | NoResponse
