"""Writes responses: the head of one waits for its body, so that both are one write, and one record of TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_HEAD = b"HTTP/1.1 "  # a body that begins so is held as well, which does it no harm
_JOINED_BYTES = 65_536  # a larger body is not copied


class ResponseWriter:
    """What responses are written to in place of the transport of their connection.

    A write of its own for the head would cost a small response a tenth of its CPU. Nothing is held for longer than this turn
    of the event loop, so the head of a stream goes out before its first event.
    """

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write a head, or what follows."""
        head = self._head
        if head is None:
            if data.startswith(_HEAD):
                self._head = data
                self._loop.call_soon(self.flush)
            else:
                self._transport.write(data)
        elif len(data) <= _JOINED_BYTES:
            self._head = None
            self._transport.write(head + data)
        else:
            self.flush()
            self._transport.write(data)

    def flush(self) -> None:
        """Write what is held."""
        head, self._head = self._head, None
        if head is not None and not self._transport.is_closing():
            self._transport.write(head)

    def close(self) -> None:
        """Close the connection, once what is held is written."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection ends, or has ended."""
        return self._transport.is_closing()
