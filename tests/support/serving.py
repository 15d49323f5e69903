"""An app on a real socket in this event loop, and who asks it something from a thread."""

from __future__ import annotations

import asyncio
import http.client
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn

from pushkeeper.web.limits import Limits
from pushkeeper.web.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import ASGIApp

_PATIENCE_S = 60


def bound() -> tuple[socket.socket, int]:
    """A socket to serve at, and its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, listener.getsockname()[1]


@asynccontextmanager
async def serving(
    app: ASGIApp,
    listener: socket.socket,
    *,
    limits: Limits | None = None,
    stopping: asyncio.Event | None = None,
) -> AsyncIterator[None]:
    """Serve an app as `pushkeeper serve` does; `stopping` is set first, so that no answer goes on for ever."""
    server = Server(
        uvicorn.Config(app, http="httptools", ws="none", lifespan="off", log_config=None),
        limits or Limits(),
        lambda: None,
    )
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        if stopping is not None:
            stopping.set()
        server.should_exit = True
        await running


def exchange(
    port: int, method: str, path: str, body: bytes | str | None, headers: Mapping[str, str]
) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Status, body and headers of one call, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), response.getheaders()
    finally:
        connection.close()
