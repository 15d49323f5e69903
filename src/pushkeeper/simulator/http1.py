"""HTTP/1.1, the serving side: what Google's SDKs fetch their access token with, and many send with.

h11 reads and writes it; one request after the other is answered, on a connection that stays open.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import h11

from pushkeeper.simulator.exchange import Answer, Drop, Later, Never, Reply, Request, Reset

if TYPE_CHECKING:
    import ssl

    from pushkeeper.simulator.exchange import Owner


class Http1Connection(asyncio.Protocol):
    """One client's connection, as long-lived as the profile lets it be."""

    def __init__(self, listener: Owner) -> None:
        self._listener = listener
        self.profile = listener.profile
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.SERVER)
        self._request: Request | None = None
        self._answered = 0
        self._ends_at_s = self._loop.time() + (self.profile.max_age_s or float("inf"))
        self._leaving = False
        self._idle: asyncio.TimerHandle | None = None

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._listener.joined(self)
        self._session = self._listener.service(self)
        self._wait_for_a_request()

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        self._read()

    def eof_received(self) -> None:
        self._http.receive_data(b"")
        self._read()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._idle is not None:
            self._idle.cancel()
        self._listener.left(self)

    # What a session, a script or a test does.

    @property
    def client_certificate(self) -> dict[str, object]:
        """The client's verified certificate as `SSLObject.getpeercert` shows it, empty when it showed none."""
        tls: ssl.SSLObject = self._transport.get_extra_info("ssl_object")
        return cast("dict[str, object]", tls.getpeercert() or {})

    def limit_streams(self, streams: int) -> None:
        """Do nothing: there is one request at a time."""

    def go_away(self, code: int = 0, debug: bytes = b"", last_stream_id: int | None = None) -> None:  # noqa: ARG002 - HTTP/2's words
        """Close, once the request under way is answered."""
        self._leaving = True
        if self._request is None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; unwritten data is lost."""
        self._transport.abort()

    # Requests in, answers out.

    def _read(self) -> None:
        try:
            while not self._transport.is_closing():
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    self._promise_to_read()
                    return
                self._take(event)
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)

    def _take(self, event: type[h11.NEED_DATA | h11.PAUSED] | h11.Event) -> None:
        match event:
            case h11.Request():
                self._request = _request(event)
            case h11.Data() if self._request is not None:
                self._request.extend(bytes(event.data))
            case h11.EndOfMessage() if self._request is not None:
                self._put(self._listener.answer(self._session, self._request))
            case h11.ConnectionClosed():
                self._transport.close()

    def _promise_to_read(self) -> None:
        """Say `100 Continue` to a client that waits for it before it sends its body."""
        if self._http.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=[]))

    def _put(self, answer: Answer) -> None:
        match answer:
            case Reply():
                self._reply(answer)
            case Later(after_s, then):
                self._loop.call_later(after_s, self._put, then)
            case Reset():
                self._transport.abort()
            case Drop():
                self._transport.close()
            case Never():
                pass

    def _reply(self, reply: Reply) -> None:
        if self._transport.is_closing():
            return
        self._answered += 1
        over = self._leaving or self._answered == self.profile.max_requests
        (_, status), *fields = reply.headers
        fields = [field for field in fields if field[0] != b"content-length"]
        fields.append((b"content-length", b"%d" % len(reply.body)))
        if over or self._loop.time() >= self._ends_at_s:
            fields.append((b"connection", b"close"))
        self._write(h11.Response(status_code=int(status), headers=fields), reply.body)
        self._request = None
        if self._http.our_state is h11.MUST_CLOSE:
            self._transport.close()
        elif self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._wait_for_a_request()
            self._loop.call_soon(self._read)

    def _write(self, event: h11.InformationalResponse | h11.Response, body: bytes | None = None) -> None:
        written = self._http.send(event)
        if body is not None:
            written += self._http.send(h11.Data(data=body))
            written += self._http.send(h11.EndOfMessage())
        self._transport.write(written)

    def _refuse(self, status: int) -> None:
        """Answer what is no HTTP, if it can still be answered, and close."""
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            fields = [(b"content-length", b"0"), (b"connection", b"close")]
            self._write(h11.Response(status_code=status, headers=fields), b"")
        self._transport.close()

    def _wait_for_a_request(self) -> None:
        if self.profile.idle_timeout_s is None:
            return
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._loop.call_later(self.profile.idle_timeout_s, self._leave_if_idle)

    def _leave_if_idle(self) -> None:
        if self._request is None:
            self._transport.close()


def _request(event: h11.Request) -> Request:
    """A request of HTTP/1.1 under HTTP/2's names."""
    fields = dict(event.headers)
    headers = (
        (b":method", event.method),
        (b":scheme", b"https"),
        (b":authority", fields.get(b"host", b"")),
        (b":path", event.target),
        *event.headers,
    )
    return Request(0, headers, dict(headers))
