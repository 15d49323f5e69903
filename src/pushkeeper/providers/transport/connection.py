"""One HTTP/2 connection as a client, without I/O: bytes in, bytes out, answers in batches (RFC 9113).

libnghttp2 (`ngh2`, which no other file of pushkeeper outside the simulator knows) does framing, HPACK and flow control.
Its contract: every submitted exchange is returned exactly once, with a response or, when the server certainly did not
process it, as refused, to be sent again elsewhere.
"""

from __future__ import annotations

from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Generic, TypeVar

import ngh2
from ngh2 import DataReceived, ErrorCode, NeverIndexedHeader, ResponseReceived, Setting, StreamClosed

from pushkeeper.core.delivery.outcome import Silence
from pushkeeper.providers.transport.response import NoResponse, Response

if TYPE_CHECKING:
    from pushkeeper.providers.transport.limits import Limits
    from pushkeeper.providers.transport.response import Answer, Request

__all__ = ["Connection", "Exchange"]

Key = TypeVar("Key")

_WINDOW_BYTES = 1 << 20
_UNLIMITED = (1 << 31) - 1  # what a server that names no limit allows
_NEVER_INDEXED = frozenset(
    {b":path", b"authorization"}
)  # Apple's page on sending asks for it; secrets anyway
_SETTINGS = {Setting.ENABLE_PUSH: 0, Setting.INITIAL_WINDOW_SIZE: _WINDOW_BYTES}
# The connection takes no more requests, which only libnghttp2 knows yet.
_OVER = (ngh2.ConnectionClosingError, ngh2.ConnectionStateError, ngh2.NoAvailableStreamIDError)
_TIMED_OUT = NoResponse(Silence.TIMED_OUT, "no answer by the deadline")
_CLOSED = NoResponse(Silence.LOST, "the connection was closed before the answer came")
_NO_HEADERS: tuple[tuple[bytes, bytes], ...] = ()


class Exchange(Generic[Key]):
    """One request on its way, and what has come back for it so far.

    Attributes:
        key: whatever the caller knows the request by.
        deadline_at: when to give up, on the clock of `Connection`'s `now`.
        sent: how often the request was put on a stream.
    """

    # One object from the queue to the answer: what the garbage collector need not track costs nothing.
    __slots__ = ("body", "complete", "deadline_at", "headers", "key", "request", "sent", "status")

    def __init__(self, key: Key, request: Request, deadline_at: float) -> None:
        self.key = key
        self.request = request
        self.deadline_at = deadline_at
        self.sent = 0
        self.status = 0
        self.headers = _NO_HEADERS
        self.body = b""
        self.complete = False


class Connection(Generic[Key]):
    """The client's end of one connection.

    Feed it with `receive`, write out `data_to_send` after anything was done to it, look at the clock with `sweep`, and
    take what has ended with `take_answers` and `take_refused`. `now` is monotonic seconds, of any one clock.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._h2 = ngh2.Connection(ngh2.Role.CLIENT)
        self._h2.initiate_connection(_SETTINGS)
        self._h2.set_local_window_size(_WINDOW_BYTES)
        self._streams: dict[int, Exchange[Key]] = {}
        # Reset by us, but open for the server until our RST_STREAM has left.
        self._cancelled: set[int] = set()
        self._answers: list[tuple[Key, Answer]] = []
        self._refused: list[tuple[int, Exchange[Key]]] = []  # with the stream that each was on
        self._left = limits.max_requests
        self._granted = _UNLIMITED
        self._allowed = 0
        self._idle_since = self._quiet_since = now
        self._pinged_at: float | None = None
        self.ready = False  # the server's first SETTINGS have come
        self.draining = False  # no new requests
        self.answered = False  # there was an answer
        self.goodbye = ""  # why the server leaves, in its words
        self._broken = False  # the server does not keep to the protocol

    # What the server lets us do.

    @property
    def capacity(self) -> int:
        """How many requests may be submitted now: none before the server's first SETTINGS, or under a ping."""
        # Requests sent to a peer that may be dead are lost with it; those that wait for the pong are not.
        if self.draining or self._pinged_at is not None:
            return 0
        free = self._allowed - len(self._streams) - len(self._cancelled)
        return max(0, min(free, self._left))

    @property
    def open_streams(self) -> int:
        """How many requests wait for their answers."""
        return len(self._streams)

    @property
    def has_changes(self) -> bool:
        """Whether there is something to take."""
        return bool(self._answers or self._refused)

    @property
    def finished(self) -> bool:
        """Whether nothing more will come or go, so that the transport can be closed."""
        if self._broken or (self.draining and not self._streams):
            return True
        return not (self._h2.want_read or self._h2.want_write)

    def idle_s(self, now: float) -> float:
        """How long the connection has been without a request."""
        return 0.0 if self._streams else now - self._idle_since

    # Requests out.

    def submit(self, exchange: Exchange[Key], now: float) -> None:
        """Send a request; only within `capacity`, and only when `data_to_send` is written out at once after."""
        if not self._streams:
            self._quiet_since = now
        request = exchange.request
        try:
            stream_id = self._h2.send_request(_unindexed(request.headers), end_stream=not request.body)
        except _OVER:
            self.draining = True
            self._refused.append((_UNLIMITED, exchange))
            return
        except (ngh2.NGH2Error, ValueError) as error:
            self._give_up(exchange, NoResponse(Silence.NOT_SENT, f"not a request: {error}"))
            return
        if request.body:
            self._h2.send_data(stream_id, request.body, end_stream=True)
        exchange.deadline_at = now + self._limits.request_timeout_s
        exchange.sent += 1
        self._streams[stream_id] = exchange
        self._left -= 1
        if not self._left:
            self.draining = True

    def data_to_send(self) -> bytes:
        """The bytes to write now."""
        data = self._h2.data_to_send()
        # Writing makes events too: a stream whose RST_STREAM has left is closed only then.
        self._read_events()
        return data

    def drain(self) -> None:
        """Take no new requests, and be `finished` when those under way are answered."""
        self.draining = True

    def close(self) -> None:
        """Say goodbye and give up what is under way; write out `data_to_send` and close the transport after."""
        self.lose(_CLOSED)
        with suppress(ngh2.ConnectionStateError):  # after the server's own goodbye
            self._h2.terminate_connection()

    # Answers in.

    def receive(self, data: bytes | memoryview, now: float) -> None:
        """Read what the server wrote; a breach of the protocol makes the connection `finished`."""
        self._quiet_since = now
        self._pinged_at = None
        try:
            self._h2.receive_data(data)
        except ngh2.NGH2Error as error:
            self.goodbye = self.goodbye or f"not HTTP/2: {error}"
            self.draining = self._broken = True
        self._read_events()
        if not self._streams:
            self._idle_since = now

    def take_answers(self) -> list[tuple[Key, Answer]]:
        """What has been answered since the last call, in the order of the answers."""
        answers, self._answers = self._answers, []
        return answers

    def take_refused(self) -> list[Exchange[Key]]:
        """What the server surely did not look at: safe to send again, in the order in which it was sent."""
        # libnghttp2 closes streams in the order of a hash: what came last each time would be refused each time.
        refused = sorted(self._refused, key=itemgetter(0))
        self._refused.clear()
        return [exchange for _, exchange in refused]

    def lose(self, why: NoResponse) -> None:
        """The transport is closed: requests without a response may have arrived."""
        self.draining = True
        detail = "; ".join(text for text in (self.goodbye, why.detail) if text)
        lost = NoResponse(Silence.LOST, detail, why.certificate_refused)
        for exchange in self._streams.values():
            self._give_up(exchange, lost)
        self._streams.clear()

    # The clock.

    def sweep(self, now: float) -> bool:
        """Give up what is overdue, and ping when it is quiet; False when the connection is dead."""
        with suppress(ngh2.ConnectionStateError):  # it is ending, which needs neither RST_STREAM nor PING
            self._cancel_overdue(now)
            self._ping_when_quiet(now)
        return self._pinged_at is None or now - self._pinged_at < self._limits.ping_timeout_s

    def _cancel_overdue(self, now: float) -> None:
        overdue = [stream_id for stream_id, exchange in self._streams.items() if exchange.deadline_at <= now]
        for stream_id in overdue:
            self._give_up(self._streams.pop(stream_id), _TIMED_OUT)
            self._cancelled.add(stream_id)
        if overdue and not self._streams:
            self._idle_since = now
        for stream_id in overdue:
            self._h2.reset_stream(stream_id, ErrorCode.CANCEL)

    def _ping_when_quiet(self, now: float) -> None:
        after_s = self._limits.ping_after_silence_s if self._streams else self._limits.ping_after_idle_s
        if self._pinged_at is None and after_s is not None and now - self._quiet_since >= after_s:
            self._h2.ping()
            self._pinged_at = now

    # What libnghttp2 tells.

    def _read_events(self) -> None:
        streams = self._streams
        # In the order of how often they come: this is the innermost loop of the sender.
        for event in self._h2.events():
            if isinstance(event, StreamClosed):
                self._close_stream(event)
            elif isinstance(event, DataReceived):
                if exchange := streams.get(event.stream_id):
                    exchange.complete = event.end_stream
                    self._keep(exchange, event.data)
            elif isinstance(event, ResponseReceived):
                if exchange := streams.get(event.stream_id):
                    headers = event.headers
                    exchange.status = int(headers[0][1])
                    exchange.headers = headers[1:]
                    exchange.complete = event.end_stream
            else:
                self._read_rare(event)

    def _read_rare(self, event: ngh2.Event) -> None:
        match event:
            case ngh2.TrailersReceived(stream_id):
                if exchange := self._streams.get(stream_id):
                    exchange.complete = True
            case ngh2.SettingsReceived(settings):
                self.ready = True
                self._granted = settings.get(Setting.MAX_CONCURRENT_STREAMS, self._granted)
                self._allowed = self._allowance()
            case ngh2.GoAwayReceived(_, code, debug):
                # Streams above the last one that the server names are closed by libnghttp2, as refused.
                self.draining = True
                self.goodbye = " ".join(("GOAWAY", _name(code), debug.decode(errors="replace"))).rstrip()

    def _allowance(self) -> int:
        ours = self._limits.max_streams if self.answered else self._limits.first_streams
        return min(ours, self._limits.max_streams, self._granted)

    def _keep(self, exchange: Exchange[Key], data: bytes) -> None:
        if not exchange.body:
            exchange.body = data
        elif len(exchange.body) < self._limits.max_body_bytes:
            exchange.body += data

    def _close_stream(self, event: StreamClosed) -> None:
        exchange = self._streams.pop(event.stream_id, None)
        if exchange is None:
            self._cancelled.discard(event.stream_id)
        elif exchange.complete:
            self._answers.append((exchange.key, Response(exchange.status, exchange.headers, exchange.body)))
            if not self.answered:
                self.answered = True
                self._allowed = self._allowance()
        elif event.error_code == ErrorCode.REFUSED_STREAM and not exchange.status:
            self._refused.append((event.stream_id, exchange))
        else:
            fault = f": {event.local_error}" if event.local_error else ""
            self._give_up(exchange, NoResponse(Silence.LOST, f"RST_STREAM {_name(event.error_code)}{fault}"))

    def _give_up(self, exchange: Exchange[Key], silence: NoResponse) -> None:
        if exchange.complete:
            # The server answered without waiting for the rest of our body.
            answer: Answer = Response(exchange.status, exchange.headers, exchange.body)
        else:
            answer = silence
        self._answers.append((exchange.key, answer))


def _unindexed(headers: tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    return [NeverIndexedHeader(*field) if field[0] in _NEVER_INDEXED else field for field in headers]


def _name(code: int) -> str:
    try:
        return ErrorCode(code).name
    except ValueError:
        return hex(code)
