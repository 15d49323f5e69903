"""HTTP/1.1 as uvicorn speaks it, with a limit for each thing that a client can send, or leave unsent."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pushkeeper.errors import Unreachable
from pushkeeper.observability.logs import logger
from pushkeeper.web.capacity import count
from pushkeeper.web.refusal import Refusal, Refused
from pushkeeper.web.response_writer import ResponseWriter

if TYPE_CHECKING:
    import asyncio

    from uvicorn import Config
    from uvicorn._types import (
        ASGI3Application,
    )
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from pushkeeper.web.capacity import Capacity, Waiting

log = logger("web")

_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)  # Linux
_BYTES_ACKED = slice(120, 128)  # in its `struct tcp_info`
# The rest of a body that is answered already is read for the client's sake alone: what is more than a little, slowly.
_LEFTOVER_BYTES = 16 * 1024
_LEFTOVER_BYTES_PER_S = 1_000_000


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What it may take is the capacity's, which also says when its time is up.

    Attributes:
        arrival: the task of its TLS handshake, which `drop` ends.
        is_made: whether that is over, and there is a transport.
        waiting: what its client is waited for to do; None while it is answered.
        held: how many bytes of it are counted.
    """

    # More than thirty names in an instance's dictionary make each of them slower to find.
    __slots__ = (
        "_fed_bytes",
        "_first_bytes",
        "_has_asked",
        "_has_turn",
        "_in_body",
        "_in_head",
        "_is_lost",
        "_refused",
        "_silent_bytes",
        "_taken_bytes",
        "_tasks",
        "_window_bytes",
        "_writer",
        "arrival",
        "capacity",
        "held",
        "is_made",
        "limits",
        "waiting",
    )

    def __init__(self, config: Config, server_state: ServerState, capacity: Capacity) -> None:
        # The application finds `charge` and `passed_on` in the scope's state.
        super().__init__(config, server_state, {"charge": self.charge, "passed_on": self.passed_on})
        self.capacity = capacity
        self.limits = capacity.limits
        self.arrival: asyncio.Task[None] | None = None
        self.is_made = False
        self.waiting: Waiting | None = None
        self.held = 0
        self._is_lost = False
        self._has_asked = False  # there is a cycle, of which `cycle` is the newest
        self._in_head = False
        self._in_body = False
        self._fed_bytes = 0  # what the parser is fed now
        self._first_bytes = 0  # what it was fed when the request began
        self._silent_bytes = 0  # since the request began, its headers ended, or it had bytes of a body
        self._window_bytes = 0  # of a body, in this window
        self._taken_bytes = 0  # of answers, when this window began
        self._tasks = 0  # one, and those that have answered and are about to end
        self._has_turn = False
        self._refused: Refusal | None = None

    # The connection.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._writer = ResponseWriter(transport, self.loop)
        self.is_made = True
        if self in self.capacity.open:
            self.capacity.wait(self, None, 0.0)  # the handshake is over: it has as long again for its request
        elif not self.capacity.admit(self, self.loop.time()):
            self._refused = Refusal.CONNECTIONS
            transport.write(self._refused.response)
            transport.close()
            return
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.app_state = {}  # a circle through `charge`
        self._is_lost = True
        self.capacity.forget(self)
        if not self._tasks:
            self.capacity.keep(self, 0)

    def drop(self) -> None:
        """Close at once."""
        if self.is_made:
            self.transport.abort()
        elif self.arrival is not None:
            self.arrival.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._settle()

    # Receiving. Each request passes through here: what is cheaper than the call of a method is written out.

    def data_received(self, data: bytes) -> None:
        """Read received data, while there is room and the limits allow it."""
        if self._refused is not None:
            return
        capacity = self.capacity
        self._fed_bytes = size = len(data)
        if self.waiting is capacity.leftovers:
            pass  # it is not kept
        elif capacity.held + size <= self.limits.held_bytes:
            capacity.held += size
            self.held += size
        elif not capacity.hold(self, size):
            self.refuse(Refusal.MEMORY)
            return
        self._silent_bytes += size
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # to what we do not speak: it is answered as HTTP/1.1
        except httptools.HttpParserError as error:
            cause = error.__context__
            self.refuse(cause.refusal if isinstance(cause, Refused) else Refusal.MALFORMED)
            return
        if self._silent_bytes or self._in_body or self.flow.write_paused or self.cycle.response_complete:
            self._look()
        elif self.waiting is not None:  # a request is whole, and answered from now on
            del self.waiting.since[self]
            self.waiting = None

    def _look(self) -> None:
        """Refuse what is too much of something that has not ended; else wait for what is next."""
        limits = self.limits
        refusal = self._judge() if self._in_head else None
        # Of an element that has not ended the parser says nothing. As sent, a head is longer than what it says.
        least = self._silent_bytes - (self._first_bytes if self._in_head else 0)
        if refusal is None and (least > 2 * limits.head_bytes or len(self.headers or ()) > limits.headers):
            refusal = Refusal.HEAD_TOO_LARGE
        if refusal is not None:
            self.refuse(refusal)
        else:
            self._settle()

    def _judge(self) -> Refusal | None:
        """The excess of a head that is too large, as far as it was read."""
        found = len(self.url)
        if found > self.limits.head_bytes:
            return Refusal.URI_TOO_LONG
        found += sum(len(name) + len(value) for name, value in self.headers)
        return Refusal.HEAD_TOO_LARGE if found > self.limits.head_bytes else None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._first_bytes = self._silent_bytes = self._fed_bytes

    def on_headers_complete(self) -> None:
        """Begin to answer, if there is a turn for it."""
        limits, capacity = self.limits, self.capacity
        if len(self.headers) > limits.headers:
            raise Refused(self._judge() or Refusal.HEAD_TOO_LARGE)
        if self._silent_bytes > limits.head_bytes and (refusal := self._judge()):
            raise Refused(refusal)
        if len(self.pipeline) >= limits.pipelined:
            raise Refused(Refusal.PIPELINED)
        if capacity.running >= limits.requests and not self._has_turn and not capacity.has_turn():
            raise Refused(Refusal.REQUESTS)
        super().on_headers_complete()
        self.headers = []  # what follows are trailers: as headers they would bypass validation
        self._in_head, self._in_body, self._has_asked = False, True, True
        self._silent_bytes = 0

    def on_body(self, body: bytes) -> None:
        self._silent_bytes = 0
        self._window_bytes += len(body)
        cycle = self.cycle
        if cycle.response_complete:
            if len(body) > _LEFTOVER_BYTES and not self.flow.read_paused:
                self.flow.pause_reading()
                self.loop.call_later(len(body) / _LEFTOVER_BYTES_PER_S, self._read_on)
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def _read_on(self) -> None:
        if not self._is_lost:
            self.flow.resume_reading()

    def on_message_complete(self) -> None:
        self._in_body = False
        self._silent_bytes = 0
        cycle = self.cycle
        cycle.more_body = False
        cycle.message_event.set()

    # Answering.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if not self._has_turn:
            self._has_turn = True
            self.capacity.running += 1
        self._tasks += 1
        cycle.transport = self._writer  # type: ignore[assignment]  # it has all that answers are written by
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self._on_task_done)
        self.tasks.add(task)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._tasks -= 1
        if not self._tasks:
            self._give_turn()
            if self._is_lost:
                self.capacity.keep(self, 0)

    def _give_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self.capacity.running -= 1

    def charge(self, size: int) -> None:
        """Count bytes that a request is unpacked to, until it is answered.

        Raises:
            Unreachable: there is no room for them at this moment.
        """
        if not self.capacity.hold(self, size):
            raise Unreachable(Refusal.MEMORY.value[1])

    def passed_on(self, size: int) -> None:
        """Count bytes of a body no longer, which are not kept until it is answered."""
        self.capacity.keep(self, max(self.held - size, 0))

    def on_response_complete(self) -> None:
        """Begin with the next request that waits, or wait for one."""
        capacity = self.capacity
        self._writer.flush()
        self.server_state.total_requests += 1
        if self.pipeline or self._in_head:
            waiting = sum(len(cycle.body) for cycle, _ in self.pipeline)
            capacity.keep(self, waiting + self._silent_bytes)
        else:
            capacity.held -= self.held
            self.held = 0
        if not self.transport.is_closing():
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
                return
            if self._refused is not None:
                self._end(self._refused)
                return
            self.flow.resume_reading()
            if not (self._in_head or self._in_body or self.flow.write_paused or self.waiting):
                capacity.idle.since[self] = self.loop.time()
                self.waiting = capacity.idle
                return
        self._settle()

    # Waiting.

    def _settle(self) -> None:
        """Wait for what the client is to do next; while it is answered, for nothing."""
        self.capacity.wait(self, self._next(), self.loop.time())

    def _next(self) -> Waiting | None:
        capacity, cycle = self.capacity, self.cycle
        if self.flow.write_paused or self.transport.is_closing():
            if self.waiting is not capacity.unread:
                self._taken_bytes = self._taken()
            return capacity.unread
        if self._in_body:
            if cycle.response_complete:
                return capacity.leftovers
            if self.waiting is not capacity.bodies:
                self._window_bytes = 0
            return capacity.bodies
        if self._has_asked and not cycle.response_complete:
            return None
        if self._in_head:
            return capacity.heads
        return capacity.idle if self._has_asked else capacity.arriving

    def overdue(self, waiting: Waiting) -> bool:
        """Its time is up; returns whether it continues to wait, from now on."""
        capacity = self.capacity
        if waiting is capacity.bodies:
            # Data that we don't read yet, or have not requested yet, is not the client's fault.
            asked = not (self.flow.read_paused or self.cycle.waiting_for_100_continue)
            enough = not asked or self._window_bytes >= self.limits.window_bytes
            self._window_bytes = 0
            if not enough:
                self.refuse(Refusal.BODY_TOO_SLOW)
            return enough
        if waiting is capacity.unread:
            taken = self._taken()
            enough = taken - self._taken_bytes >= self.limits.window_bytes
            self._taken_bytes = taken
            if not enough:
                count("UNREAD")
                self.drop()
            return enough
        if waiting is capacity.heads:
            self.refuse(Refusal.HEAD_TOO_SLOW)
        elif waiting is capacity.closing or not self.is_made:
            self.drop()
        else:
            self.transport.close()
            self._settle()
        return False

    def _taken(self) -> int:
        """How much the client has taken so far, counted from anywhere."""
        if _TCP_INFO is None:
            return -self.transport.get_write_buffer_size()
        # The acknowledged bytes: under TLS a transport does not say how much it still has to send.
        client = self.transport.get_extra_info("socket")
        if client is None:
            return 0  # it broke a moment ago, and `connection_lost` is on its way
        try:
            info = client.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_ACKED.stop)
        except OSError:
            return 0
        return int.from_bytes(info[_BYTES_ACKED], sys.byteorder)

    # Refusing.

    def refuse(self, refusal: Refusal) -> None:
        """Reject the request that is being received, and close; earlier requests are answered first."""
        count(refusal.name)
        log.info("request_refused", reason=refusal.name.lower(), status=refusal.status)
        self._refused = refusal
        cycle = self.cycle
        if self._in_body:
            self._leave(cycle)
        self.capacity.keep(self, 0)
        if self.pipeline or (self._has_asked and not self._in_body and not cycle.response_complete):
            self.flow.pause_reading()
            self.capacity.wait(self, None, 0.0)
            return
        self._end(None if self._in_body and cycle.response_started else refusal)

    def _leave(self, cycle: RequestResponseCycle) -> None:
        """Make the application see that the client of this request, which is not whole, is gone."""
        cycle.disconnected = True
        cycle.body = bytearray()
        cycle.message_event.set()
        if self.pipeline:
            self.pipeline.popleft()
        else:
            self._give_turn()

    def _end(self, refusal: Refusal | None) -> None:
        """Send the reason, and close; keep reading briefly, as otherwise the client may lose the response."""
        self._writer.flush()
        if refusal is not None:
            self.transport.write(refusal.response)
        if self.transport.can_write_eof():
            self.flow.resume_reading()
            self.transport.write_eof()
        else:
            self.transport.close()  # under TLS this continues reading
        self.capacity.wait(self, self.capacity.closing, self.loop.time())
