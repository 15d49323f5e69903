"""How much a client, and all clients together, may take of the server."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from pushkeeper.config import LEAST

if TYPE_CHECKING:
    from pushkeeper.config import Settings

_MIB = 1 << 20
_FILES_OF_OTHERS = 256  # the database, the push services, webhooks and files of the process


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the server, and how long it waits for clients.

    Attributes:
        connections: open connections, those in a TLS handshake too.
        requests: requests that are answered concurrently.
        held_bytes: received bytes of all requests that are not answered yet.
        head_bytes: request line, headers and trailers of one request.
        headers: headers and trailers of one request.
        pipelined: requests that wait behind another one of their connection.
        arrival_s: the time for the TLS handshake, and then for the first byte.
        head_s: from the first byte of a request to the end of its headers.
        window_s: over how long a rate is measured.
        bytes_per_s: the minimum rate of a body, and of reading a response, within each window.
        idle_s: keep-alive time without a request.
        closing_s: how long a rejected client is still read from, so that it reads the response.
    """

    connections: int = 4_096
    requests: int = 1_024
    held_bytes: int = 128 * _MIB
    head_bytes: int = 65_536
    headers: int = 100
    pipelined: int = 16
    arrival_s: float = 10.0
    head_s: float = 10.0
    window_s: float = 20.0
    bytes_per_s: int = 1_024
    idle_s: float = 75.0
    closing_s: float = 2.0

    @property
    def window_bytes(self) -> int:
        """What must be transferred in a window."""
        return int(self.bytes_per_s * self.window_s)

    @property
    def shortest_s(self) -> float:
        """The shortest wait."""
        return min(self.arrival_s, self.head_s, self.window_s, self.idle_s, self.closing_s)


def limits_of(settings: Settings) -> Limits:
    """The share of one process in the limits that the settings ask for, as far as the files that it may open allow."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    share = {
        name: max(ceil(getattr(settings, name) / settings.processes), least) for name, least in LEAST.items()
    }
    return Limits(
        connections=min(share["max_connections"], files - min(_FILES_OF_OTHERS, files // 2)),
        requests=share["max_requests"],
        held_bytes=share["max_body_memory_mb"] * _MIB,
    )
