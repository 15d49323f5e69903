"""A wire between us and PostgreSQL that can be cut without a word, as a cable is: nothing is closed, and nothing arrives."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from support.serving import bound

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator


class Wire:
    """Forwards from a port of this machine to a Unix socket."""

    def __init__(self, url: str, socket_path: str) -> None:
        self._target = url
        self._socket = socket_path
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """The address of PostgreSQL through this wire."""
        parts = urlsplit(self._target)
        return f"{parts.scheme}://{parts.username}@/{parts.path.lstrip('/')}?host=127.0.0.1:{self.port}"

    def cut(self) -> None:
        self._whole.clear()

    def repair(self) -> None:
        """What was sent meanwhile is lost with the connections that it was sent by."""
        for task in self._tasks:
            task.cancel()
        self._whole.set()

    def refuse(self) -> None:
        """Take no more connections; those that there are stay."""
        assert self._server is not None
        self._server.close()

    async def start(self, at: socket.socket) -> None:
        self._server = await asyncio.start_server(self._joined, sock=at)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.refuse()
        self.repair()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        both: list[asyncio.Task[None]] = []
        try:
            await self._whole.wait()
            theirs = await asyncio.open_unix_connection(self._socket)
            ends.append(theirs[1])
            both += [
                asyncio.create_task(self._pump(reader, theirs[1])),
                asyncio.create_task(self._pump(theirs[0], writer)),
            ]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            for end in ends:
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while some := await reader.read(65_536):
                await self._whole.wait()
                writer.write(some)
                await writer.drain()


@asynccontextmanager
async def wire(url: str, at: socket.socket | None = None) -> AsyncIterator[Wire]:
    """A wire to the embedded PostgreSQL of this address, from this socket if it is given."""
    folder = parse_qs(urlsplit(url).query)["host"][0]
    made = Wire(url, f"{folder}/.s.PGSQL.5432")
    await made.start(at or bound()[0])
    try:
        yield made
    finally:
        await made.stop()
