"""Reads the files that name the recipients of broadcasts, from wherever they are."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.errors import BadRequest
from pushkeeper.services.broadcasts.recipients import Recipient, resolve
from pushkeeper.store import jobs
from pushkeeper.store.broadcasts import planning, recipients
from pushkeeper.worker.jobs.failures import TryAgain
from pushkeeper.worker.jobs.remote_files import RemoteFiles

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from pushkeeper.core.destination import Destinations
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.jobs import Claim

TIMEOUT_S = 120.0
MAX_FILE_BYTES = 500_000_000
MAX_LINE_BYTES = 100_000
_LINES_AT_ONCE = 5_000
_BYTES_AT_ONCE = 2_000_000
_KINDS = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.CIO_ID)


class Files:
    """How the recipients of a broadcast are read."""

    kind = jobs.FILE

    def __init__(
        self, database: Database, *, destinations: Destinations, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._database = database
        self._timeout_s = timeout_s
        self._files = RemoteFiles(destinations, "data_file_url", at_once=self.kind.at_once)

    async def do(self, claim: Claim) -> None:
        """List all people of the file; earlier entries are replaced, as the file is read from its beginning."""

        async def begin(connection: Connection) -> planning.RecipientFile:
            file = await planning.file(connection, claim)
            await recipients.unlist(connection, claim.workspace_id, file.broadcast_id)
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
        await self._files.aclose()

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
        async with aclosing(self._files.read(url)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                if size > MAX_FILE_BYTES or len(rest) > MAX_LINE_BYTES:
                    raise BadRequest(
                        "data_file_url",
                        f"{MAX_FILE_BYTES:,} bytes, and {MAX_LINE_BYTES:,} a line, are the most",
                    )
                for line in lines:
                    yield line
        yield rest


async def _list(connection: Connection, claim: Claim, group: Sequence[Recipient]) -> None:
    file = await planning.file(connection, claim)
    named = await resolve(connection, claim.workspace_id, group, ignore_missing=file.ignore_missing)
    await recipients.list_people(connection, claim.workspace_id, file.broadcast_id, named)


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
