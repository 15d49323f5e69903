"""Files at addresses that users name, read where the operator allows calls to go."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpcore

from pushkeeper.core.destination import url_fault
from pushkeeper.errors import BadRequest
from pushkeeper.worker.http_client import NOT_ANSWERING, Checked
from pushkeeper.worker.jobs.failures import TryAgain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from pushkeeper.core.destination import Destinations

MOST_REDIRECTS = 5
_TIMEOUTS_S = {"connect": 15.0, "read": 60.0, "write": 15.0, "pool": 60.0}
_OK = 200
_MOVED = frozenset({301, 302, 303, 307, 308})
# Statuses that another attempt may not meet with.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class RemoteFiles:
    """Reads files; `field` is what errors call the address."""

    def __init__(self, destinations: Destinations, field: str, *, at_once: int) -> None:
        self._field = field
        self._http = httpcore.AsyncConnectionPool(
            network_backend=Checked(destinations), max_connections=at_once, max_keepalive_connections=0
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def read(self, url: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a file; `TryAgain` if its server does not answer now.

        Raises:
            BadRequest: it does not exist.
        """
        try:
            async with self._opened(url) as response:
                async for chunk in response.aiter_stream():
                    yield chunk
        except NOT_ANSWERING as error:
            raise TryAgain(f"{self._field}: {str(error) or type(error).__name__}") from None

    @asynccontextmanager
    async def _opened(self, url: str) -> AsyncIterator[httpcore.Response]:
        """The file, from wherever the address leads: object stores answer with another address first."""
        for _ in range(MOST_REDIRECTS + 1):
            headers: dict[bytes | str, bytes | str] = {
                "host": urlsplit(url).netloc,
                "user-agent": "Pushkeeper",
            }
            async with self._http.stream(
                "GET", url, headers=headers, extensions={"timeout": _TIMEOUTS_S}
            ) as response:
                if response.status == _OK:
                    yield response
                    return
                if response.status in _PASSING:
                    raise TryAgain(f"{self._field}: answered {response.status}")
                if response.status not in _MOVED:
                    raise BadRequest(self._field, f"answered {response.status}")
                url = self._next_address(url, response)
        raise BadRequest(self._field, f"leads on more than {MOST_REDIRECTS} times")

    def _next_address(self, url: str, response: httpcore.Response) -> str:
        [address] = [value for name, value in response.headers if name.lower() == b"location"][:1] or [b""]
        try:
            found = urljoin(url, address.decode("ascii"))
        except ValueError:
            found = ""
        if not address or url_fault(found) is not None:
            raise BadRequest(self._field, f"answered {response.status} without an http address")
        return found
