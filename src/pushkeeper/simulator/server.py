"""HTTP/2, the serving side: connections that behave as their profile says, good or bad.

One `asyncio.Protocol` per connection feeds libnghttp2 (`ngh2`, which no other file here knows); what is answered within
one turn of the loop leaves in one write. The limit of streams is held here and not by libnghttp2, which would end the
connection with its own words where the real services have theirs.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, cast

import ngh2
from ngh2 import ErrorCode, Setting

from pushkeeper.simulator.exchange import Answer, Drop, Later, Never, Reply, Request, Reset

if TYPE_CHECKING:
    import ssl

    from pushkeeper.simulator.exchange import Owner

__all__ = ["Connection", "ErrorCode", "Setting"]

_UNENFORCED_STREAMS = 0x7FFFFFFF
_LINGER_S = 1.0
_LIMIT_ENTRY = struct.Struct("!HI")
# A client that cancels a great deal is what we are here to bear.
_CONFIGURATION = ngh2.Configuration(stream_reset_rate_limit=(1_000_000, 1_000_000))

# `:scheme` with the value `https:` as Node's HPACK writes it, and `https` in as many bytes. A body of JSON can't have the
# first (it is not UTF-8), and the shorter entry in the dynamic table only makes ours forget later than the client's.
_SCHEME_WITH_COLON = b"\x46\x85\x9d\x29\xad\x17\x3f"
_SCHEME = b"\x46\x05https"

_NO_AUTHORITY = Reply(((b":status", b"400"), (b"content-length", b"0")))


class Connection(asyncio.Protocol):
    """One client's connection: what is done to it from outside are the faults that a test or a script wants."""

    def __init__(self, listener: Owner) -> None:
        self._listener = listener
        self.profile = listener.profile
        self._loop = asyncio.get_running_loop()
        self._h2 = ngh2.Connection(ngh2.Role.SERVER, _CONFIGURATION)
        self._open: dict[int, Request] = {}
        self._ready: list[tuple[int, Reply]] = []
        self._written: list[bytes] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._limit = self._next_limit = self.profile.opening_streams or self.profile.streams
        self._last_stream_id = 0
        self._pings = 0
        self._admitted = 0
        self._active_at_s = self._loop.time()
        self._leaving = False
        self._flushing = False
        self._paused = False
        self._stalled = False

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._listener.joined(self)
        self._session = self._listener.service(self)
        self._limit = self._next_limit
        self._h2.initiate_connection(
            {**self.profile.settings, Setting.MAX_CONCURRENT_STREAMS: _UNENFORCED_STREAMS}
        )
        self._written.append(_announce(self._h2.data_to_send(), self._limit))
        self._start_timers()
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._active_at_s = self._loop.time()
        if "linger" in self._timers:
            return
        if self.profile.scheme_with_colon:
            data = data.replace(_SCHEME_WITH_COLON, _SCHEME)
        try:
            self._h2.receive_data(data)
        except ngh2.NGH2Error:
            self._flush()  # libnghttp2 has put its GOAWAY there
            return
        self._take_events()
        self._flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        for timer in self._timers.values():
            timer.cancel()
        self._open.clear()
        self._ready.clear()
        self._listener.left(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    # What a session, a script or a test does.

    @property
    def client_certificate(self) -> dict[str, object]:
        """The client's verified certificate as `SSLObject.getpeercert` shows it, empty when it showed none."""
        tls: ssl.SSLObject = self._transport.get_extra_info("ssl_object")
        return cast("dict[str, object]", tls.getpeercert() or {})

    @property
    def open_streams(self) -> int:
        """How many requests are under way or held."""
        return len(self._open)

    def limit_streams(self, streams: int) -> None:
        """Announce another MAX_CONCURRENT_STREAMS, together with the answers of this turn."""
        self._next_limit = streams
        self._flush_soon()

    def go_away(
        self, code: int = ErrorCode.NO_ERROR, debug: bytes = b"", last_stream_id: int | None = None
    ) -> None:
        """Send GOAWAY and close once the streams that it leaves (all those taken, by default) are answered."""
        if "linger" in self._timers:
            return
        self._leaving = True
        last = self._last_stream_id if last_stream_id is None else last_stream_id
        self._h2.send_goaway(code, last_stream_id=last, debug_data=debug)
        self._flush_soon()

    def stall(self) -> None:
        """Read and write nothing until `resume`, as a half-open connection does."""
        self._stalled = True
        self._transport.pause_reading()

    def resume(self) -> None:
        """End a stall."""
        self._stalled = False
        self._transport.resume_reading()
        self._flush()

    def drop(self) -> None:
        """Close without GOAWAY; responses already queued still leave."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; unwritten data is lost."""
        self._transport.abort()

    # Requests in, answers out.

    def _take_events(self) -> None:
        while events := self._h2.events():
            for event in events:
                if self._transport.is_closing():
                    return
                self._take(event)

    def _take(self, event: ngh2.Event) -> None:
        if isinstance(event, ngh2.DataReceived):
            request = self._open.get(event.stream_id)
            if request is None:
                return
            request.extend(event.data)
            if event.end_stream:
                self._answer(request)
        elif isinstance(event, ngh2.RequestReceived):
            self._admit(event)
        elif isinstance(event, ngh2.TrailersReceived):
            if event.stream_id in self._open:
                self._answer(self._open[event.stream_id])
        elif isinstance(event, ngh2.StreamClosed):
            self._open.pop(event.stream_id, None)
        elif isinstance(event, ngh2.PingReceived):
            self._count_ping()

    def _admit(self, event: ngh2.RequestReceived) -> None:
        self._pings = 0
        if self._leaving:
            return
        if len(self._open) >= self._limit:
            if self.profile.excess_debug is None:
                self._h2.reset_stream(event.stream_id, ErrorCode.REFUSED_STREAM)
            else:
                self.go_away(ErrorCode.PROTOCOL_ERROR, self.profile.excess_debug)
            return
        if self._listener.struck("refused", self.profile.refused_share):
            self._h2.reset_stream(event.stream_id, ErrorCode.REFUSED_STREAM)
            return
        self._last_stream_id = event.stream_id
        self._admitted += 1
        if self._admitted == self.profile.max_requests:
            self.go_away(ErrorCode.NO_ERROR, self.profile.age_debug)
        headers = event.headers
        request = self._open[event.stream_id] = Request(event.stream_id, headers, dict(headers))
        if event.end_stream:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        if self.profile.needs_authority and b":authority" not in request.fields:
            self._put(request.stream_id, _NO_AUTHORITY)
            return
        self._put(request.stream_id, self._listener.answer(self._session, request))

    def _put(self, stream_id: int, answer: Answer) -> None:
        if stream_id not in self._open:
            return
        match answer:
            case Reply():
                self._ready.append((stream_id, answer))
                self._flush_soon()
            case Later(after_s, then):
                self._loop.call_later(after_s, self._put, stream_id, then)
            case Reset(code):
                self._h2.reset_stream(stream_id, code)
                self._flush_soon()
            case Drop():
                self.drop()
            case Never():
                pass

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._paused or self._stalled or self._transport.is_closing():
            return
        if self._next_limit != self._limit:
            self._announce_limit()
        self._answer_ready()
        self._written.append(self._h2.data_to_send())
        self._take_events()
        if written := b"".join(self._written):
            self._transport.write(written)
        self._written.clear()
        if not (self._h2.want_read or self._h2.want_write) and "linger" not in self._timers:
            # To close under what the client still writes would reset the connection, and lose it the last answers.
            self._timers["linger"] = self._loop.call_later(_LINGER_S, self._transport.close)

    def _answer_ready(self) -> None:
        halves = []
        for stream_id, reply in self._ready:
            if stream_id not in self._open:
                continue
            body = reply.body
            self._h2.send_response(stream_id, reply.headers, end_stream=not body)
            if not body:
                continue
            if self.profile.data_frames > 1:
                half = len(body) // 2
                self._h2.send_data(stream_id, body[:half])
                halves.append((stream_id, body[half:]))
            else:
                self._h2.send_data(stream_id, body, end_stream=True)
        self._ready.clear()
        if halves:
            # libnghttp2 joins what it was given before a write into one frame.
            self._written.append(self._h2.data_to_send())
            for stream_id, rest in halves:
                self._h2.send_data(stream_id, rest, end_stream=True)

    def _announce_limit(self) -> None:
        self._limit = self._next_limit
        self._written.append(self._h2.data_to_send())
        self._h2.update_settings({Setting.MAX_CONCURRENT_STREAMS: _UNENFORCED_STREAMS})
        self._written.append(_announce(self._h2.data_to_send(), self._limit))

    # The profile's clocks.

    def _start_timers(self) -> None:
        profile = self.profile
        if profile.max_age_s is not None:
            self._timers["age"] = self._loop.call_later(
                profile.max_age_s, self.go_away, ErrorCode.NO_ERROR, profile.age_debug
            )
        if profile.idle_timeout_s is not None:
            self._watch_idleness(profile.idle_timeout_s)

    def _watch_idleness(self, timeout_s: float) -> None:
        left_s = self._active_at_s + timeout_s - self._loop.time()
        if left_s > 0 or self._open:
            wait_s = max(left_s, timeout_s / 10)
            self._timers["idle"] = self._loop.call_later(wait_s, self._watch_idleness, timeout_s)
        else:
            self.go_away(ErrorCode.NO_ERROR, self.profile.idle_debug)

    def _count_ping(self) -> None:
        self._pings += 1
        if self.profile.idle_pings is not None and self._pings > self.profile.idle_pings:
            self.go_away(ErrorCode.ENHANCE_YOUR_CALM, self.profile.pings_debug)


def _announce(settings_frame: bytes, streams: int) -> bytes:
    """Write the limit that we hold ourselves over the one that libnghttp2 would hold."""
    return settings_frame.replace(
        _LIMIT_ENTRY.pack(Setting.MAX_CONCURRENT_STREAMS, _UNENFORCED_STREAMS),
        _LIMIT_ENTRY.pack(Setting.MAX_CONCURRENT_STREAMS, streams),
        1,
    )
