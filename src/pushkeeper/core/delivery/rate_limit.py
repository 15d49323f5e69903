"""How fast a route may go: arithmetic over a clock that the caller brings, in seconds of any one origin. No I/O.

Sources: Google, "Best practices when sending FCM messages at scale" (ramp, quota, Retry-After, retry budget) and the
contract's section 5.5. Every number here is a parameter with that page's value as its default.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushkeeper.core.model import DeviceId

FCM_PER_S = 10_000.0  # 600,000 a minute for each project
RAMP_FLOOR_PER_S = 100.0
RECOVERY_STEP_S = 10.0
RECOVERY_STEP = 1.05


def ramped(limit_per_s: float, ramp_s: float, warm_for_s: float) -> float:
    """What of a limit may be used so long after a cold start: from a floor, in a straight line, to all of it."""
    if warm_for_s >= ramp_s:
        return limit_per_s
    return min(limit_per_s, max(RAMP_FLOOR_PER_S, limit_per_s * warm_for_s / ramp_s))


def recovered(slowed_to_per_s: float, since_s: float) -> float:
    """The rate so long after a provider's throttling ended: 5 % more every ten seconds."""
    steps = min(max(since_s, 0.0) / RECOVERY_STEP_S, 1_000.0)
    return float(slowed_to_per_s * RECOVERY_STEP**steps)


@dataclass(slots=True)
class Bucket:
    """Tokens that come at a rate, up to a second's worth."""

    tokens: float = 0.0
    filled_at: float | None = None

    def fill(self, per_s: float, now: float) -> None:
        """Add what has come since the last time; a new bucket begins with a tenth of a second's worth."""
        depth = max(per_s, 1.0)
        if self.filled_at is None:
            self.tokens = max(depth / 10, 1.0)
        else:
            self.tokens = min(self.tokens + (now - self.filled_at) * per_s, depth)
        self.filled_at = now

    def take(self) -> bool:
        """Take one, if there is one."""
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def owe(self, count: int) -> None:
        """Take tokens in advance: none are available until they have been refilled."""
        self.tokens -= count

    def empty_for_s(self, per_s: float) -> float:
        """How long it takes until there is one."""
        return max((1.0 - self.tokens) / per_s, 0.0)


class Tally:
    """The number of events within a window of seconds, in steps of a tenth of it."""

    __slots__ = ("_counts", "_span_s", "_step_s", "_total")

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._step_s = span_s / 10
        self._counts: deque[tuple[float, int]] = deque()
        self._total = 0

    def add(self, count: int, now: float) -> None:
        step = now - now % self._step_s
        if self._counts and self._counts[-1][0] == step:
            self._counts[-1] = (step, self._counts[-1][1] + count)
        else:
            self._counts.append((step, count))
        self._total += count

    def total(self, now: float) -> int:
        while self._counts and self._counts[0][0] + self._step_s <= now - self._span_s:
            self._total -= self._counts.popleft()[1]
        return self._total


class RetryBudget:
    """Retries may be a tenth of the first attempts of the last minute, plus ten a second.

    Without it an outage would be answered with more requests than before.
    """

    SHARE = 0.1
    FLOOR_PER_S = 10.0
    SPAN_S = 60.0

    def __init__(self) -> None:
        self._first = Tally(self.SPAN_S)
        self._again = Tally(self.SPAN_S)
        self._floor = Bucket()

    def sent(self, now: float) -> None:
        """A push was sent for the first time."""
        self._first.add(1, now)

    def take(self, now: float) -> bool:
        """Whether one more retry may be sent; if so, it is counted."""
        if self._again.total(now) < self.SHARE * self._first.total(now):
            self._again.add(1, now)
            return True
        self._floor.fill(self.FLOOR_PER_S, now)
        return self._floor.take()


class Phase(StrEnum):
    """The state of a circuit breaker."""

    CLOSED = "closed"  # all goes through
    OPEN = "open"  # nothing does, for a while
    HALF_OPEN = "half_open"  # one does, to see


@dataclass(slots=True)
class Breaker:
    """Stops asking a host that does not answer or is in trouble, and lets one push through to see.

    It opens when half of 20 results or more within ten seconds are failures, for 10 s, and twice as long each time
    that the one push fails.
    """

    SPAN_S = 10.0
    LEAST = 20
    SHARE = 0.5
    FIRST_S = 10.0
    LONGEST_S = 600.0

    opened: int = 0
    open_until: float = 0.0
    _good: Tally = field(default_factory=lambda: Tally(Breaker.SPAN_S))
    _bad: Tally = field(default_factory=lambda: Tally(Breaker.SPAN_S))

    def phase(self, now: float) -> Phase:
        if not self.opened:
            return Phase.CLOSED
        return Phase.OPEN if now < self.open_until else Phase.HALF_OPEN

    def record_good(self, count: int, now: float) -> None:
        """So many requests were answered; a half-open breaker closes."""
        if not self.opened:
            self._good.add(count, now)
        elif now >= self.open_until:
            self.opened = 0
            self._good, self._bad = Tally(self.SPAN_S), Tally(self.SPAN_S)

    def record_bad(self, now: float) -> bool:
        """A request failed; True when the breaker opened by it."""
        match self.phase(now):
            case Phase.OPEN:
                return False  # requests in flight when it opened say nothing new
            case Phase.HALF_OPEN:
                self._open(now)
                return True
            case Phase.CLOSED:
                self._bad.add(1, now)
                bad, good = self._bad.total(now), self._good.total(now)
                if bad + good < self.LEAST or bad < self.SHARE * (bad + good):
                    return False
                self._open(now)
                return True

    def _open(self, now: float) -> None:
        self.open_until = now + min(self.FIRST_S * 2 ** min(self.opened, 30), self.LONGEST_S)
        self.opened += 1


class DevicePace:
    """Limits a device to half of FCM's limits: 120 a minute, 2,500 an hour.

    Counted in a table of a million slots by hash, so that a fleet of any size costs three megabytes; two devices in
    one slot only make the limit stricter, and shared slots stay far below it.
    """

    A_MINUTE = 120
    AN_HOUR = 2_500
    _PLACES = 1 << 20

    def __init__(self) -> None:
        self._minute = self._hour = -1
        self._in_minute = bytearray()
        self._in_hour = memoryview(bytearray()).cast("H")

    def wait_s(self, device: DeviceId, now: float) -> float:
        """0 when one more may be sent to this device now, which is then counted; else how long it has to wait."""
        self._turn(now)
        place = int.from_bytes(device[:3], "big") & (self._PLACES - 1)
        in_minute, in_hour = self._in_minute[place], self._in_hour[place]
        if in_hour >= self.AN_HOUR:
            return 3600.0 - now % 3600.0
        if in_minute >= self.A_MINUTE:
            return 60.0 - now % 60.0
        self._in_minute[place] = in_minute + 1
        self._in_hour[place] = in_hour + 1
        return 0.0

    def _turn(self, now: float) -> None:
        if (minute := int(now // 60)) != self._minute:
            self._minute, self._in_minute = minute, bytearray(self._PLACES)
        if (hour := int(now // 3600)) != self._hour:
            self._hour, self._in_hour = hour, memoryview(bytearray(2 * self._PLACES)).cast("H")
