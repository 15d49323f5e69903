"""How much is taken: windows that count, and the wait until the next one."""

from __future__ import annotations

import itertools
import math
from email.utils import formatdate
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

RetryAfter: TypeAlias = Literal["none", "seconds", "date", "mixed"]

_FORMS: tuple[RetryAfter, ...] = ("seconds", "date", "none")


class Window:
    """A number of requests in a number of seconds, from the first on: not aligned to the clock."""

    __slots__ = ("_limit", "_span_s", "_started_at_s", "_used")

    def __init__(self, limit: int, span_s: float) -> None:
        self._limit = limit
        self._span_s = span_s
        self._started_at_s = -math.inf
        self._used = 0

    def wait_s(self, now_s: float) -> float:
        """How long there is nothing left, 0 when there is."""
        if now_s - self._started_at_s >= self._span_s:
            self._started_at_s, self._used = now_s, 0
        return 0.0 if self._used < self._limit else self._started_at_s + self._span_s - now_s

    def count(self) -> None:
        """One more was taken."""
        self._used += 1


def wait_s(windows: Sequence[Window], now_s: float) -> float:
    """The longest wait of several windows."""
    return max((window.wait_s(now_s) for window in windows), default=0.0)


class RetryAfterHeader:
    """The header that goes with a wait, in the form that was chosen; `mixed` takes each in turn."""

    def __init__(self, form: RetryAfter) -> None:
        self._forms = itertools.cycle(_FORMS if form == "mixed" else (form,))

    def after(self, wait_s: float, now_s: float) -> tuple[tuple[bytes, bytes], ...]:
        """The header, if there is one."""
        form = next(self._forms)
        if form == "none":
            return ()
        whole_s = max(math.ceil(wait_s), 1)
        value = str(whole_s) if form == "seconds" else formatdate(now_s + whole_s, usegmt=True)
        return ((b"retry-after", value.encode()),)
