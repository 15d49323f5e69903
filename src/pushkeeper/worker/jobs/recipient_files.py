"""Reads the files that name the recipients of broadcasts, from wherever they are."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpcore
import msgspec

from pushkeeper.core.destination import url_fault
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.errors import BadRequest
from pushkeeper.services.broadcasts.recipients import Recipient, resolve
from pushkeeper.store import jobs
from pushkeeper.store.broadcasts import broadcasts, planning
from pushkeeper.worker.http_client import NOT_ANSWERING, Checked
from pushkeeper.worker.jobs.failures import TryAgain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from pushkeeper.core.destination import Destinations
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.jobs import Claim

TIMEOUT_S = 120.0
MAX_FILE_BYTES = 500_000_000
MAX_LINE_BYTES = 100_000
MOST_REDIRECTS = 5
_LINES_AT_ONCE = 5_000
_BYTES_AT_ONCE = 2_000_000
_OK = 200
_MOVED = frozenset({301, 302, 303, 307, 308})
# Statuses that another attempt may not meet with.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_KINDS = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.CIO_ID)


class Files:
    """How the recipients of a broadcast are read."""

    kind = jobs.FILE

    def __init__(
        self, database: Database, *, destinations: Destinations, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._database = database
        self._timeout_s = timeout_s
        self._http = httpcore.AsyncConnectionPool(
            network_backend=Checked(destinations),
            max_connections=self.kind.at_once,
            max_keepalive_connections=0,
        )

    async def do(self, claim: Claim) -> None:
        """List all whom the file names; what was listed before is not, as the file is read from its beginning."""

        async def begin(connection: Connection) -> planning.RecipientFile:
            file = await planning.file(connection, claim)
            await broadcasts.unlist(connection, claim.workspace_id, file.broadcast_id)
            return file

        of = self._database.of(claim.workspace_id)
        file = await of.in_transaction(begin)
        try:
            async with asyncio.timeout(self._timeout_s), aclosing(self._groups(file.url)) as groups:
                async for group in groups:
                    await of.in_transaction(lambda connection, group=group: _list(connection, claim, group))  # type: ignore[misc]
        except TimeoutError:
            raise TryAgain(f"data_file_url: not read within {self._timeout_s:g} seconds") from None
        await of.in_transaction(lambda connection: planning.fetched(connection, claim))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _groups(self, url: str) -> AsyncGenerator[list[Recipient], None]:
        """Those who are named, some thousand at a time."""
        group: list[Recipient] = []
        size = number = 0
        async with aclosing(self._lines(url)) as lines:
            async for line in lines:
                number += 1
                size += len(line)
                if line.strip():
                    group.append(_recipient(line, number))
                if len(group) >= _LINES_AT_ONCE or size >= _BYTES_AT_ONCE:
                    yield group
                    group, size = [], 0
        yield group

    async def _lines(self, url: str) -> AsyncGenerator[bytes, None]:
        size, rest = 0, b""
        try:
            async with self._opened(url) as response:
                async for chunk in response.aiter_stream():
                    size += len(chunk)
                    *lines, rest = (rest + chunk).split(b"\n")
                    if size > MAX_FILE_BYTES or len(rest) > MAX_LINE_BYTES:
                        raise BadRequest(
                            "data_file_url",
                            f"{MAX_FILE_BYTES:,} bytes, and {MAX_LINE_BYTES:,} a line, are the most",
                        )
                    for line in lines:
                        yield line
        except NOT_ANSWERING as error:
            raise TryAgain(f"data_file_url: {str(error) or type(error).__name__}") from None
        yield rest

    @asynccontextmanager
    async def _opened(self, url: str) -> AsyncIterator[httpcore.Response]:
        """The file, from wherever the address leads: object stores answer with another address first."""
        for _ in range(MOST_REDIRECTS + 1):
            headers: dict[bytes | str, bytes | str] = {
                "host": urlsplit(url).netloc,
                "user-agent": "Pushkeeper",
            }
            async with self._http.stream("GET", url, headers=headers) as response:
                if response.status == _OK:
                    yield response
                    return
                if response.status in _PASSING:
                    raise TryAgain(f"data_file_url: answered {response.status}")
                if response.status not in _MOVED:
                    raise BadRequest("data_file_url", f"answered {response.status}")
                url = _next_address(url, response)
        raise BadRequest("data_file_url", f"leads on more than {MOST_REDIRECTS} times")


def _next_address(url: str, response: httpcore.Response) -> str:
    [address] = [value for name, value in response.headers if name.lower() == b"location"][:1] or [b""]
    try:
        found = urljoin(url, address.decode("ascii"))
    except ValueError:
        found = ""
    if not address or url_fault(found) is not None:
        raise BadRequest("data_file_url", f"answered {response.status} without an http address")
    return found


async def _list(connection: Connection, claim: Claim, group: Sequence[Recipient]) -> None:
    file = await planning.file(connection, claim)
    named = await resolve(connection, claim.workspace_id, group, ignore_missing=file.ignore_missing)
    await broadcasts.list_people(connection, claim.workspace_id, file.broadcast_id, named)


def _recipient(line: bytes, number: int) -> Recipient:
    place = f"line {number}"
    try:
        said: Any = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise BadRequest(place, f"not JSON: {error}") from None
    named = [kind for kind in _KINDS if isinstance(said, dict) and said.get(kind.value)]
    data = said.get("data") if isinstance(said, dict) else None
    if len(named) != 1 or not isinstance(data, dict | None):
        raise BadRequest(place, "expected one of id, email or cio_id, and data")
    [kind] = named
    return Recipient(who=Identifier(kind, str(said[kind.value])), place=place, data=data)
