"""Patience: how long a call waits for its database, all its waits together, so that it is answered in any case."""

from __future__ import annotations

from contextvars import ContextVar
from math import inf
from time import monotonic

CALL_S = 8.0  # a call must be answered within ten
ANSWER_S = 4.0  # of these: reserved for the statement after waiting for a turn or a connection
TURN_S = 30.0  # without a limit: a worker, a command


class Patience:
    """What is left of the time that a call may spend on waiting for its database.

    What it spends elsewhere is not counted: a large body, a push service, a webhook's receiver. Tasks that a call starts
    share its patience; what several of them wait at once is counted once. `with` it counts as waiting.
    """

    __slots__ = ("_left_s", "_limit_s", "_since", "_waits")

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._left_s = limit_s
        self._since = 0.0
        self._waits = 0

    @property
    def left_s(self) -> float:
        """What is left now."""
        spent_s = monotonic() - self._since if self._waits else 0.0
        return max(self._left_s - spent_s, 0.0)

    def __enter__(self) -> None:
        if not self._waits:
            self._since = monotonic()
        self._waits += 1

    def __exit__(self, *_: object) -> None:
        self._waits -= 1
        if not self._waits:
            self._left_s -= monotonic() - self._since

    def renew(self) -> None:
        """Begin again: something was answered, and more is to come."""
        self._left_s = self._limit_s
        self._since = monotonic()


_UNLIMITED = Patience(inf)
_current: ContextVar[Patience] = ContextVar("patience", default=_UNLIMITED)


class Limited:
    """While this is active, the waits of this task, and of tasks that it starts, are limited."""

    __slots__ = ("_before", "_limit_s")

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s

    def __enter__(self) -> None:
        self._before = _current.set(Patience(self._limit_s))

    def __exit__(self, *_: object) -> None:
        _current.reset(self._before)


def limited(limit_s: float = CALL_S) -> Limited:
    """Limit the waits of this task to a number of seconds while the context is active."""
    return Limited(limit_s)


def unlimited() -> None:
    """Set no limit for this task: nobody waits for it, whatever started it."""
    _current.set(_UNLIMITED)


def renew() -> None:
    """Begin again, in a call that has progress to show or to keep."""
    _current.get().renew()


def spent() -> Patience:
    """Count what this is entered for as waiting."""
    return _current.get()


def for_turn_s(most_s: float = TURN_S) -> float:
    """How long to wait for a turn or a connection from now on, so that time for an answer is left; 0 when all is spent."""
    return min(most_s, _for_turn_s(_current.get().left_s))


def for_answer_s() -> float:
    """How long the current statement may wait; infinite without a limit."""
    return _current.get().left_s


def deadlines(now: float) -> tuple[float, float]:
    """Until when to wait for a turn, so that time for an answer is left, and until when for the answer."""
    left_s = _current.get().left_s
    return now + _for_turn_s(left_s), now + left_s


def _for_turn_s(left_s: float) -> float:
    return max(left_s - ANSWER_S, min(left_s, 1.0))
