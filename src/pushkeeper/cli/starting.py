"""The port of a service that is still starting: callers are answered at it, where the start takes long."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from pushkeeper import wiring
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.web.limits import limits_of
from pushkeeper.web.server import Server
from pushkeeper.web.starting import Starting

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from pushkeeper.config import Settings
    from pushkeeper.interprocess import Place, Turns
    from pushkeeper.web.limits import Limits
    from pushkeeper.web.localhost_tls import ServedCertificate
    from pushkeeper.wiring import Store

log = logger("start")

# Connections during an ordinary start wait in the socket's queue, and are answered after it.
PATIENCE_S = 2.0


@asynccontextmanager
async def opened_store(
    settings: Settings,
    listener: socket.socket,
    certificate: ServedCertificate | None,
    *,
    connections: int,
    place: Place | None = None,
) -> AsyncIterator[Store]:
    """Open the store; while it cannot be opened yet, callers get an error that says so."""
    starting = Starting()
    meanwhile = answered_meanwhile(
        listener,
        uvicorn_config(starting, certificate),
        limits_of(settings),
        place.turns_while_starting if place else None,
    )
    async with AsyncExitStack() as stack:
        async with meanwhile:
            opened = await stack.enter_async_context(
                wiring.store(
                    settings, connections=connections, migrating=place is None, on_wait=starting.wait_for
                )
            )
        yield opened


@asynccontextmanager
async def answered_meanwhile(
    listener: socket.socket, config: uvicorn.Config, limits: Limits, turns: Turns | None = None
) -> AsyncIterator[None]:
    """After two seconds of this, answer at the socket with the application of `config`; in the end nobody does.

    `turns` says when another process answers at the socket.
    """
    server = Server(config, limits, lambda: None, turns)
    done = asyncio.Event()
    answering = asyncio.create_task(_answer(server, listener, done))
    try:
        yield
    finally:
        server.should_exit = True
        done.set()
        await answering


async def _answer(server: Server, listener: socket.socket, done: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()
    except TimeoutError:
        log.info("answering_while_starting", port=listener.getsockname()[1])
        # The start itself continues, and reports the error if it hits the same one.
        with isolated(log, "not_answering_while_starting"):
            # A copy, because it is closed at the end.
            await server.serve([listener.dup()])


def uvicorn_config(app: Any, certificate: ServedCertificate | None) -> uvicorn.Config:
    """How uvicorn serves an application."""
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        ssl_certfile=certificate.cert_file if certificate else None,
        ssl_keyfile=certificate.key_file if certificate else None,
        # Of TLS 1.2 only what encrypts and authenticates in one, with keys that are forgotten; 1.3 has nothing else.
        ssl_ciphers="ECDHE+AESGCM:ECDHE+CHACHA20",
    )
