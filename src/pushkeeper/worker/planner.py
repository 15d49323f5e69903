"""Plans broadcasts: page by page, and from files that are read from elsewhere first."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpcore
import msgspec

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.errors import BadRequest
from pushkeeper.recipients import Recipient, resolve
from pushkeeper.store import broadcasts, plans
from pushkeeper.store.broadcasts import BroadcastState
from pushkeeper.store.database import PLAN_CHANNEL
from pushkeeper.telemetry import logger
from pushkeeper.worker.outbound import NOT_ANSWERING, Checked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.core.destination import Destinations
    from pushkeeper.planning import Planning
    from pushkeeper.store.database import Connection, Database
    from pushkeeper.store.plans import ToPlan

log = logger("planner")

LOOK_S = 5.0
_SOONEST_S = 0.05
FILE_TIMEOUT_S = 120.0
MAX_FILE_BYTES = 500_000_000
MAX_LINE_BYTES = 100_000
_AT_ONCE = 5_000
MOST_REDIRECTS = 5
_OK = 200
_MOVED = frozenset({301, 302, 303, 307, 308})
_KINDS = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.CIO_ID)


class Planner:
    """Looks for broadcasts that are to be planned, as soon as it is told of one."""

    look_every_s: float = LOOK_S
    channel: str | None = PLAN_CHANNEL

    def __init__(self, database: Database, planning: Planning, *, destinations: Destinations) -> None:
        self._database = database
        self._planning = planning
        self._http = httpcore.AsyncConnectionPool(network_backend=Checked(destinations))

    async def look(self) -> None:
        """Plan what there is to plan; the next look is when the next broadcast's hour comes, if that is soon."""
        while await self._fetch() or await self._planning.plan_page():
            pass
        next_at_s = await self._planning.next_at_s()
        self.look_every_s = LOOK_S if next_at_s is None else min(max(next_at_s, _SOONEST_S), LOOK_S)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _fetch(self) -> bool:
        """Read the file of a broadcast that nobody else reads, and say whether there was one."""
        failed: tuple[ToPlan, str] | None = None

        async def work(connection: Connection) -> bool:
            nonlocal failed
            broadcast = await plans.next_to_plan(connection, [BroadcastState.FETCHING], most_batches=1)
            if broadcast is None:
                return False
            try:
                async with asyncio.timeout(FILE_TIMEOUT_S):
                    await self._list(connection, broadcast)
            except (BadRequest, *NOT_ANSWERING) as error:
                # Raised, it takes back what was listed already.
                failed = broadcast, str(error) or type(error).__name__
                raise _NotReadable from error
            await plans.fetched(connection, broadcast)
            return True

        try:
            return await self._database.in_transaction(work)
        except _NotReadable:
            assert failed is not None  # noqa: S101 - it is set where this is raised
            broadcast, why = failed
            log.warning("broadcast_file_not_read", broadcast=broadcast.broadcast_id, reason=why)
            await self._database.of(broadcast.workspace_id).in_transaction(
                lambda connection: plans.failed(connection, broadcast, why)
            )
            return True

    async def _list(self, connection: Connection, broadcast: ToPlan) -> None:
        assert broadcast.file_url is not None  # noqa: S101 - that is what it waits for
        group: list[Recipient] = []
        number = 0
        async for line in self._lines(broadcast.file_url):
            number += 1
            if line.strip():
                group.append(_recipient(line, number))
            if len(group) >= _AT_ONCE:
                await _name(connection, broadcast, group)
                group = []
        await _name(connection, broadcast, group)

    async def _lines(self, url: str) -> AsyncIterator[bytes]:
        size, rest = 0, b""
        async with self._opened(url) as response:
            async for chunk in response.aiter_stream():
                size += len(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                if size > MAX_FILE_BYTES or len(rest) > MAX_LINE_BYTES:
                    raise BadRequest(
                        "data_file_url",
                        f"data_file_url: {MAX_FILE_BYTES:,} bytes, and {MAX_LINE_BYTES:,} a line, are the most",
                    )
                for line in lines:
                    yield line
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
                if response.status not in _MOVED:
                    raise BadRequest("data_file_url", f"data_file_url: answered {response.status}")
                url = _next_address(url, response)
        raise BadRequest("data_file_url", f"data_file_url: leads on more than {MOST_REDIRECTS} times")


class _NotReadable(Exception):
    """A file cannot be read; what was listed of it is taken back."""


def _next_address(url: str, response: httpcore.Response) -> str:
    [address] = [value for name, value in response.headers if name.lower() == b"location"][:1] or [b""]
    found = urljoin(url, address.decode("ascii", "replace"))
    if not address or urlsplit(found).scheme not in ("http", "https"):
        raise BadRequest(
            "data_file_url", f"data_file_url: answered {response.status} without an http address"
        )
    return found


async def _name(connection: Connection, broadcast: ToPlan, group: list[Recipient]) -> None:
    named = await resolve(connection, broadcast.workspace_id, group, ignore_missing=broadcast.ignore_missing)
    await broadcasts.list_people(connection, broadcast.workspace_id, broadcast.message_id, named)


def _recipient(line: bytes, number: int) -> Recipient:
    place = f"line {number}"
    try:
        said: Any = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise BadRequest(place, f"{place}: not JSON: {error}") from None
    named = [kind for kind in _KINDS if isinstance(said, dict) and said.get(kind.value)]
    data = said.get("data") if isinstance(said, dict) else None
    if len(named) != 1 or not isinstance(data, dict | None):
        raise BadRequest(place, f"{place}: expected one of id, email or cio_id, and data")
    [kind] = named
    return Recipient(who=Identifier(kind, str(said[kind.value])), place=place, data=data)
