"""Output that never makes its writer wait or fail: a thread writes it, and what finds no room is dropped and counted."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_QUEUED_BYTES = 4 * 1024 * 1024  # some 18,000 lines of calls
# Up to so many bytes go into a pipe whole, so that the lines of processes that share one are not torn.
_AT_ONCE_BYTES = select.PIPE_BUF
_GATHER_S = 0.02  # each time the thread wakes, the event loop has to give up the interpreter: seldom enough to cost nothing
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0


class _Gap:
    """So many lines are missing at this place of the queue."""

    __slots__ = ("lines",)

    def __init__(self, lines: int) -> None:
        self.lines = lines


class LogWriter:
    """A text file whose thread writes to a file descriptor.

    What cannot be written now (a disk is full, a pipe has no reader or one that stalls) is tried again until it can.
    Meanwhile up to `max_queued_bytes` are queued. Further lines are dropped, and replaced by one that says so.
    """

    def __init__(
        self, fd: int, *, tell_gap: Callable[[int], str], max_queued_bytes: int = MAX_QUEUED_BYTES
    ) -> None:
        """`tell_gap` is the line that says that so many lines were dropped."""
        self._fd = fd
        self._write_gap = tell_gap
        self._max_queued_bytes = max_queued_bytes
        self._queue: deque[bytes | _Gap] = deque()
        self._queued_bytes = 0
        self._dropped = 0
        self._idle = False
        self._closing = False
        # One that can be taken twice: while it is held, the garbage collector may run something that logs.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many lines were dropped so far."""
        return self._dropped

    def write(self, text: str) -> int:
        """Queue whole lines."""
        self.write_lines(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def write_lines(self, lines: bytes) -> None:
        """Queue one line, or several that stay together, with their line feeds."""
        with self._lock:
            if self._queued_bytes + len(lines) > self._max_queued_bytes or self._closing:
                self._drop(lines.count(b"\n"))
                return
            self._queue.append(lines)
            self._queued_bytes += len(lines)
            if self._idle:
                self._idle = False
                self._changed.notify()

    def flush(self) -> None:
        """Do nothing: what is queued leaves by itself."""

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def close(self, within_s: float) -> None:
        """Write what is queued, as far as it can be written in this time; nothing is taken any more."""
        with self._lock:
            self._closing = True
            self._changed.notify()
        self._thread.join(within_s)

    def _drop(self, lines: int) -> None:
        self._dropped += lines
        if self._queue and isinstance(gap := self._queue[-1], _Gap):
            gap.lines += lines
        else:
            self._queue.append(_Gap(lines))

    def _run(self) -> None:
        while lines := self._next():
            self._write_out(lines)

    def _next(self) -> bytes:
        """The lines to be written next, waited for; none once this is closed and all is written."""
        with self._lock:
            while not self._queue and not self._closing:
                self._idle = True
                self._changed.wait()
                if not self._closing:
                    self._changed.wait(_GATHER_S)
            taken: list[bytes] = []
            room = _AT_ONCE_BYTES
            while self._queue:
                first = self._queue[0]
                lines = self._write_gap(first.lines).encode() if isinstance(first, _Gap) else first
                room -= len(lines)
                if taken and room < 0:
                    break
                self._queue.popleft()
                self._queued_bytes -= len(first) if isinstance(first, bytes) else 0
                taken.append(lines)
            return b"".join(taken)

    def _write_out(self, lines: bytes) -> None:
        """Write these, however long it takes; once this is closing, only while there is hope."""
        pause_s = _FIRST_PAUSE_S
        while lines:
            try:
                lines = lines[os.write(self._fd, lines) :]
                pause_s = _FIRST_PAUSE_S
            except BlockingIOError:
                select.select((), (self._fd,), (), _LONGEST_PAUSE_S)
            except OSError:
                if self._closing:
                    return
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
