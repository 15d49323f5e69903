"""What a service lets its clients do, and how long we bear with it."""

from __future__ import annotations

from dataclasses import dataclass

_DOUBLINGS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one pool of connections; None means never.

    Attributes:
        max_connections: those that take new requests; those that drain are not counted.
        max_streams: our own cap per connection, below whatever the server's SETTINGS allow.
        first_streams: how many streams a connection may open before its first answer (1 on APNs).
        max_requests: a connection is rotated after this many; stream ids end after 2³⁰.
        max_body_bytes: what is kept of an answer's body; the rest is read and dropped.
        request_timeout_s: from the first byte sent to the end of the answer.
        queue_timeout_s: how long a request may wait for a connection.
        connect_timeout_s: for DNS, TCP and TLS together.
        settings_timeout_s: for the server's first SETTINGS after that.
        idle_s: an unused connection is closed.
        max_age_s: a connection is retired, some up to a tenth sooner, so that not all go at once.
        ping_after_idle_s: an unused connection is pinged.
        ping_after_silence_s: a connection that leaves requests unanswered and says nothing is pinged.
        ping_timeout_s: a connection that says nothing after a ping is dead.
        first_backoff_s: the longest wait after one failure to connect; doubles with each further one.
        longest_backoff_s: what it does not grow past.
        patience_s: how much of a back-off a request may wait for; during the rest it is answered at once.
        max_resends: how often a request that the server did not look at is sent again.
    """

    max_connections: int = 4
    max_streams: int = 100
    first_streams: int = 100
    max_requests: int = 1 << 30
    max_body_bytes: int = 1 << 20
    request_timeout_s: float = 15.0
    queue_timeout_s: float = 30.0
    connect_timeout_s: float = 10.0
    settings_timeout_s: float = 10.0
    idle_s: float | None = 180.0
    max_age_s: float | None = 3300.0
    ping_after_idle_s: float | None = None
    ping_after_silence_s: float = 5.0
    ping_timeout_s: float = 5.0
    first_backoff_s: float = 1.0
    longest_backoff_s: float = 60.0
    patience_s: float = 1.0
    max_resends: int = 3

    @property
    def tick_s(self) -> float:
        """How often the clocks are looked at: often enough that none is late by more than a twentieth."""
        clocks = (
            self.request_timeout_s,
            self.queue_timeout_s,
            self.ping_after_silence_s,
            self.ping_timeout_s,
            *(clock for clock in (self.idle_s, self.max_age_s, self.ping_after_idle_s) if clock is not None),
        )
        return min(*clocks, 10.0) / 20

    def backoff_s(self, failures: int, jitter: float) -> float:
        """How long to wait after so many failures in a row; `jitter` in [0, 1) spreads it over all of the wait."""
        grown_s = self.first_backoff_s * 2.0 ** min(failures - 1, _DOUBLINGS)
        return jitter * min(grown_s, self.longest_backoff_s)
