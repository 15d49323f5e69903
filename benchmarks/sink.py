"""Somebody else's HTTP server: takes webhooks at once or slowly, and serves a file that never ends."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SLOW_S = 3.5
_BYTE_EVERY_S = 0.5
_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Sink:
    """What came to `/hook`, and when (seconds of the epoch); `/slow` takes its time, and `/file` all of it."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, bytes]] = []
        self._url = ""

    def address(self, path: str) -> str:
        return self._url + path

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Sink]:
        """Until the end of the block, on a port of its own."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.partition(b":")[2])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                body = await reader.readexactly(length)
                path = head.split(b" ", 2)[1]
                if path == b"/file":
                    await _trickle(writer)
                    break
                if path == b"/slow":
                    await asyncio.sleep(SLOW_S)
                else:
                    self.taken.append((time.time(), body))
                writer.write(_OK)
                await writer.drain()
        writer.close()


async def _trickle(writer: asyncio.StreamWriter) -> None:
    """A line of a file, a byte at a time, for as long as the other side reads."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(_BYTE_EVERY_S)
