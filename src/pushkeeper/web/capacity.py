"""What all connections share: their number, the requests that are answered, and the bytes that wait to be."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric
from pushkeeper.web.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pushkeeper.web.limits import Limits

log = logger("web")


class Connection(Protocol):
    """One client, from its connection's accept to its end."""

    waiting: Waiting | None
    held: int

    def overdue(self, waiting: Waiting) -> bool:
        """Its time is up; returns whether it continues to wait, from now on."""

    def refuse(self, refusal: Refusal) -> None:
        """Answer what is being received with a refusal, and close."""

    def drop(self) -> None:
        """Close at once."""


class Waiting:
    """Connections that are waited for by the same time-out, those that have waited longest first."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.since: OrderedDict[Connection, float] = OrderedDict()

    def oldest(self) -> Connection | None:
        return next(iter(self.since), None)

    def overdue(self, now: float) -> Iterator[Connection]:
        """Waiters whose time is up; each has to leave, or to start again."""
        while self.since:
            connection = next(iter(self.since))
            if self.since[connection] + self.limit_s > now:
                return
            yield connection


class Capacity:
    """The counts, and which connection makes room when one is at its limit: never one that is being answered.

    A connection waits for at most one thing; one that is being answered waits for nothing.

    Attributes:
        open: all connections, from accept to close.
        running: connections with a request that is being answered.
        held: received bytes of requests that are not answered yet.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.report: Callable[[int], None] | None = None  # is called with how many connections are open
        self.open: set[Connection] = set()
        self.running = 0
        self.held = 0
        self.arriving = Waiting(limits.arrival_s)
        self.heads = Waiting(limits.head_s)
        self.bodies = Waiting(limits.window_s)
        self.leftovers = Waiting(limits.window_s)  # of bodies, after the answer
        self.unread = Waiting(limits.window_s)  # answers that the client does not take
        self.idle = Waiting(limits.idle_s)
        self.closing = Waiting(limits.closing_s)
        self.waitings = (
            *(self.arriving, self.heads, self.bodies, self.leftovers),
            *(self.unread, self.idle, self.closing),
        )

    # Connections.

    def admit(self, connection: Connection, now: float) -> bool:
        """Count a new connection; False when it has no room, and nobody could be closed to make some."""
        if len(self.open) >= self.limits.connections and not self.make_room():
            count(Refusal.CONNECTIONS.name)
            return False
        self.open.add(connection)
        if self.report is not None:
            self.report(len(self.open))
        self.wait(connection, self.arriving, now)
        return True

    def make_room(self) -> bool:
        """Close the longest idle connection: first those that have sent nothing yet, last those still reading a response."""
        for waiting in (
            self.closing,
            self.leftovers,
            self.arriving,
            self.heads,
            self.idle,
            self.unread,
        ):
            oldest = waiting.oldest()
            if oldest is not None:
                count("MADE_ROOM")
                self.forget(oldest)
                oldest.drop()
                return True
        return False

    def forget(self, connection: Connection) -> None:
        """Uncount a connection that is closed."""
        self.open.discard(connection)
        if self.report is not None:
            self.report(len(self.open))
        self.wait(connection, None, 0.0)

    # Time.

    def wait(self, connection: Connection, waiting: Waiting | None, now: float) -> None:
        """Wait for something else from now on; for the same thing, continue."""
        before = connection.waiting
        if before is waiting:
            return
        if before is not None:
            del before.since[connection]
        if waiting is not None:
            waiting.since[connection] = now
        connection.waiting = waiting

    def sweep(self, now: float) -> None:
        """Tell each connection whose time is up."""
        for waiting in self.waitings:
            for connection in waiting.overdue(now):
                goes_on = False
                # One that fails must not keep the others from their ends.
                with isolated(log, "connection_failed") as tried:
                    goes_on = connection.overdue(waiting)
                if tried.error is not None:
                    connection.drop()
                if goes_on:
                    waiting.since[connection] = now
                    waiting.since.move_to_end(connection)
                elif connection.waiting is waiting:
                    self.wait(connection, None, now)

    # Requests and bytes. The longest-sending body is rejected in favour of a new one: a client that holds bodies back
    # cannot keep others out.

    def has_turn(self) -> bool:
        """Whether one more request may be answered."""
        while self.running >= self.limits.requests:
            slowest = self.bodies.oldest()
            if slowest is None:
                return False
            slowest.refuse(Refusal.REQUESTS)
        return True

    def hold(self, connection: Connection, size: int) -> bool:
        """Count bytes that were received; False when there is no room for them."""
        while self.held + size > self.limits.held_bytes:
            slowest = self.bodies.oldest()
            if slowest is None or slowest is connection:
                return False
            slowest.refuse(Refusal.MEMORY)
        self.held += size
        connection.held += size
        return True

    def keep(self, connection: Connection, size: int) -> None:
        """Uncount received bytes, except for this many."""
        size = min(size, connection.held)
        self.held -= connection.held - size
        connection.held = size


def count(reason: str) -> None:
    """Count a connection that the server rejected or closed, by reason."""
    PROCESS.count(Metric.HTTP_REFUSED, reason.lower()).value += 1
