"""A service's door: a port with TLS, the HTTP that each client is answered in, and what all its connections share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from pushkeeper.simulator.exchange import Later, Reply, Reset
from pushkeeper.simulator.http1 import Http1Connection
from pushkeeper.simulator.server import Connection, ErrorCode

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from pushkeeper.simulator.exchange import Answer, Link, Profile, Request, Session


class Listener:
    """One service's door: a port, and the connections that came through it."""

    def __init__(self, context: ssl.SSLContext, profile: Profile, service: Callable[[Link], Session]) -> None:
        self.profile = profile
        self.service = service
        self.connections: set[Link] = set()
        self._owed: dict[str, float] = {}
        self._context = context
        self._empty = asyncio.Event()

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen; port 0 takes a free one.

        Raises:
            OSError: the port is in use.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Greeting(self), host, port, ssl=self._context, backlog=1024
        )

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return cast("int", self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the door and every connection, at once."""
        self._server.close()
        for connection in list(self.connections):
            connection.abort()
        while self.connections:
            self._empty.clear()
            await self._empty.wait()
        await self._server.wait_closed()

    def answer(self, session: Session, request: Request) -> Answer:
        """Let the service decide, and put into the way of its answer what the profile has for all."""
        answer = session.handle(request)
        if isinstance(answer, Reply) and self.struck("lost", self.profile.lost_share):
            answer = Reset(ErrorCode.INTERNAL_ERROR)
        return Later(self.profile.latency_ms / 1000, answer) if self.profile.latency_ms else answer

    def struck(self, fault: str, share: float) -> bool:
        """Whether this one is of the share that a fault has: spread evenly, so that a run is like the one before."""
        if not share:
            return False
        owed = self._owed.get(fault, 0.0) + share
        self._owed[fault] = owed % 1.0
        return owed >= 1.0

    def joined(self, connection: Link) -> None:
        """Count a connection in."""
        self.connections.add(connection)

    def left(self, connection: Link) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        self._empty.set()


class _Greeting(asyncio.Protocol):
    """A connection until its handshake is over.

    Who names no protocol (ALPN) is answered in HTTP/1.1 where that is spoken, and else may know that this is HTTP/2.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        speaks_http1 = self._listener.profile.http1 and tls.selected_alpn_protocol() != "h2"
        connection = Http1Connection(self._listener) if speaks_http1 else Connection(self._listener)
        cast("asyncio.Transport", transport).set_protocol(connection)
        connection.connection_made(transport)
