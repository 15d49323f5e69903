"""Requests over HTTP/1.1, for services that do not speak HTTP/2: one at a time on each of a few connections."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import h11

from pushkeeper.core.delivery.outcome import Silence
from pushkeeper.providers.transport.response import NoResponse, Response
from pushkeeper.providers.transport.tls import connected, failure

if TYPE_CHECKING:
    from pushkeeper.providers.transport.limits import Limits
    from pushkeeper.providers.transport.response import Answer, Request
    from pushkeeper.providers.transport.tls import Endpoint

HTTP1 = "http/1.1"
_READ_BYTES = 1 << 16


@dataclass(slots=True)
class _Link:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    state: h11.Connection
    used: bool = False


class Http1:
    """The connections to one endpoint; each request is answered exactly once."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        """Open nothing yet; `endpoint` has a context that offers HTTP/1.1."""
        self._endpoint = endpoint
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.max_connections)
        self._idle: list[_Link] = []

    async def fetch(self, request: Request) -> Answer:
        """Send one request and wait for its answer."""
        async with self._slots:
            answer = await self._on_idle(request) if self._idle else None
            return await self._on_new(request) if answer is None else answer

    def close(self) -> None:
        """Close what is not in use."""
        for link in self._idle:
            link.writer.close()
        self._idle.clear()

    async def _on_idle(self, request: Request) -> Answer | None:
        """The answer on a connection that was used before; None if the server had closed it meanwhile."""
        link = self._idle.pop()
        answer = await self._exchange(link, request)
        closed = isinstance(answer, NoResponse) and answer.silence is Silence.LOST and not link.used
        return None if closed else answer

    async def _on_new(self, request: Request) -> Answer:
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s):
                sock = await connected(self._endpoint, self._limits.connect_timeout_s)
                reader, writer = await asyncio.open_connection(
                    sock=sock, ssl=self._endpoint.tls, server_hostname=self._endpoint.host
                )
        except OSError as error:
            return failure(error)
        return await self._exchange(_Link(reader, writer, h11.Connection(h11.CLIENT)), request)

    async def _exchange(self, link: _Link, request: Request) -> Answer:
        link.used = False
        answer: Answer
        try:
            async with asyncio.timeout(self._limits.request_timeout_s):
                answer = await self._answer(link, request)
        except TimeoutError:
            answer = NoResponse(Silence.TIMED_OUT, "no answer in time")
        except (OSError, h11.RemoteProtocolError) as error:
            answer = NoResponse(Silence.LOST, f"{type(error).__name__}: {error}")
        if link.state.our_state is h11.DONE and link.state.their_state is h11.DONE:
            link.state.start_next_cycle()
            self._idle.append(link)
        else:
            with suppress(OSError):
                link.writer.close()
        return answer

    async def _answer(self, link: _Link, request: Request) -> Response:
        for data in _written(link.state, request):
            link.writer.write(data)
        await link.writer.drain()
        found: h11.Response | None = None
        body = b""
        while True:
            event = link.state.next_event()
            if event is h11.NEED_DATA:
                link.state.receive_data(await link.reader.read(_READ_BYTES))
                continue
            link.used = True
            if isinstance(event, h11.Response):
                found = event
            elif isinstance(event, h11.Data):
                body = (body + event.data)[: self._limits.max_body_bytes]
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) and found is not None:
                return Response(found.status_code, tuple(found.headers), body)


def _written(state: h11.Connection, request: Request) -> list[bytes]:
    pseudo = {name: value for name, value in request.headers if name.startswith(b":")}
    headers = [
        (b"host", pseudo[b":authority"]),
        (b"content-length", b"%d" % len(request.body)),
        *((name, value) for name, value in request.headers if not name.startswith(b":")),
    ]
    line = h11.Request(method=pseudo[b":method"], target=pseudo[b":path"], headers=headers)
    events: tuple[h11.Event, ...] = (line, h11.Data(data=request.body), h11.EndOfMessage())
    return [cast("bytes", state.send(event)) for event in events]
