"""The HTTP server with limits of a test's own, in a thread, in front of an application that does as the path says."""

import asyncio
import json
import logging
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
import uvloop

from pushkeeper.errors import Unreachable
from pushkeeper.web.limits import Limits
from pushkeeper.web.server import Server
from support.service import eventually

QUIET = Limits(
    connections=50, arrival_s=5.0, head_s=5.0, window_s=5.0, idle_s=5.0, closing_s=1.0, held_bytes=4_000_000
)


class Application:
    """`/read` answers the length of the body; `/held` when it is released, `/later` reads it
    only then; `/long` with so many bytes; `/unpacked` counts
    as many; others at once."""

    def __init__(self):
        self.released = asyncio.Event()
        self.began = threading.Semaphore(0)
        self.left = threading.Semaphore(0)

    async def __call__(self, scope, receive, send):
        path, _, number = scope["path"].removeprefix("/").partition("/")
        body, code = b"{}", 200
        self.began.release()
        if path == "later":
            await self.released.wait()
            await self._read(receive)
        elif path == "read":
            size = await self._read(receive)
            if size is None:
                self.left.release()
                return
            body = json.dumps({"size": size, "headers": len(scope["headers"])}).encode()
        elif path == "held":
            await self._read(receive)
            await self.released.wait()
        elif path == "unpacked":
            try:
                scope["state"]["charge"](int(number))
            except Unreachable:
                code = 503
        elif path == "long":
            body = b"x" * int(number)
        await send(
            {
                "type": "http.response.start",
                "status": code,
                "headers": [(b"content-length", str(len(body)).encode())],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _read(self, receive):
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            size += len(message["body"])
            if not message["more_body"]:
                return size


@dataclass
class Site:
    """A running server: `connect` speaks plain TCP or, where there is a certificate, TLS."""

    port: int
    server: Server
    application: Application
    loop: asyncio.AbstractEventLoop
    trusted: ssl.SSLContext | None
    listener: socket.socket

    @property
    def capacity(self):
        return self.server.capacity

    def tcp(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def connect(self):
        connection = self.tcp()
        return (
            self.trusted.wrap_socket(connection, server_hostname="localhost") if self.trusted else connection
        )

    def ask(self, path="/", body=b"", *headers):
        """The status of a request on a connection of its own."""
        with self.connect() as connection:
            connection.sendall(request(path, body, "Connection: close", *headers))
            return status(heard(connection))

    def until(self, condition):
        """Ask until it is so."""
        eventually(condition, within_s=20.0)

    def check(self, **counts):
        """What is counted is what there is, and that is as given: `connections`, `running` and `held` bytes."""
        found = asyncio.run_coroutine_threadsafe(self._counted(counts), self.loop).result(30)
        assert {name: found[name] for name in counts} == counts

    async def _counted(self, wanted):
        capacity = self.capacity
        give_up_at = self.loop.time() + 10.0
        while True:
            counted = {
                "connections": len(capacity.open),
                "running": capacity.running,
                "held": capacity.held,
            }
            if not capacity.running:  # of who has left
                assert capacity.held == sum(one.held for one in capacity.open)
            for one in capacity.open:
                queues = [waiting for waiting in capacity.waitings if one in waiting.since]
                assert queues == ([one.waiting] if one.waiting else [])
            if wanted.items() <= counted.items() or self.loop.time() > give_up_at:
                return counted
            await asyncio.sleep(0.01)

    def release(self):
        """Answer what is held."""
        self.loop.call_soon_threadsafe(self.application.released.set)


class Errors(logging.Handler):
    """What went wrong in the server."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record):
        # Those whose requests were still running when the server was stopped.
        if "timeout graceful shutdown" not in record.getMessage():
            self.seen.append(self.format(record))


@contextmanager
def serving(limits=QUIET, certificate=None, *, socket_of=None, turns=None):
    """A server with these limits; `certificate` is its files, and that of the CA. It may have its socket from another."""
    started = threading.Event()
    made: dict[str, Any] = {}

    async def main():
        application = made["application"] = Application()
        listener = (
            socket_of.listener.dup() if socket_of else socket.create_server(("127.0.0.1", 0), backlog=1024)
        )
        made["listener"] = listener
        made["port"] = listener.getsockname()[1]
        made["loop"] = asyncio.get_running_loop()
        config = uvicorn.Config(
            application,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=5,
            ssl_certfile=certificate and certificate.cert_file,
            ssl_keyfile=certificate and certificate.key_file,
        )
        server = made["server"] = Server(config, limits, started.set, turns)
        await server.serve([listener])

    def run():
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    errors = Errors()
    logging.getLogger("uvicorn.error").addHandler(errors)
    logging.getLogger("asyncio").addHandler(errors)
    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(30)
    trusted = ssl.create_default_context(cafile=certificate.ca_file) if certificate else None
    site = Site(made["port"], made["server"], made["application"], made["loop"], trusted, made["listener"])
    try:
        yield site
    finally:
        site.release()
        site.server.should_exit = True
        thread.join(30)
        logging.getLogger("uvicorn.error").removeHandler(errors)
        logging.getLogger("asyncio").removeHandler(errors)
        assert not thread.is_alive()
        assert errors.seen == [], "\n".join(errors.seen[:3])


def request(path="/", body=b"", *headers, method="POST"):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def heard(connection):
    """All that comes until the server closes."""
    said = []
    try:
        while some := connection.recv(65_536):
            said.append(some)
    except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        pass
    return b"".join(said)


def answered(connection):
    """The status of the next answer on a connection that stays open."""
    said = b""
    while b"\r\n\r\n" not in said:
        some = connection.recv(65_536)
        if not some:
            return status(said)
        said += some
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
    while len(body) < length:
        body += connection.recv(length - len(body))
    return status(head)


def status(said):
    """The status of the first answer; None when there was none."""
    return int(said.split(b" ", 2)[1]) if said else None
