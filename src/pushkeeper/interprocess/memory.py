"""Memory that a service makes, and its processes inherit by a file descriptor: nothing of it outlives them."""

from __future__ import annotations

import mmap
import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from pushkeeper.config import MOST_PROCESSES

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = 8
_SLOT_WORDS = 8  # one cache line for each process
_PID, _CONNECTIONS, _PUBLISHED = range(3)
_PLACES_AT = (MOST_PROCESSES + 1) * _SLOT_WORDS * _WORD
PLACES = 1 << 15
PLACE_WORDS = 4
_MAPPED_BYTES = _PLACES_AT + PLACES * PLACE_WORDS * _WORD
_REGIONS_AT = 1 << 24
REGION_BYTES = 1 << 24  # two for each process; only what is written takes memory


class SharedMemory:
    """Words that each process may read, and of which each slot is written by one process alone.

    Slot 0 is the supervisor's, 1 to `MOST_PROCESSES` are those of the processes that answer. A word is read and written whole.
    """

    def __init__(self, fd: int = -1, processes: int = 0) -> None:
        """Map what another process made, for so many that answer; without a file descriptor, memory of this process alone."""
        self.fd = fd
        self.slots = range(processes + 1)
        self._map = mmap.mmap(fd, _MAPPED_BYTES)
        self._words = memoryview(self._map).cast("q")
        self.place_words = self._words[_PLACES_AT // _WORD :]
        self.place_floats = memoryview(self._map)[_PLACES_AT:].cast("d")

    @classmethod
    @contextmanager
    def made(cls, processes: int) -> Iterator[SharedMemory]:
        """Shared memory for a supervisor and its processes, for as long as one of them lives."""
        fd = os.memfd_create("pushkeeper", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, _REGIONS_AT + 2 * (MOST_PROCESSES + 1) * REGION_BYTES)
            with closing(cls(fd, processes)) as made:
                yield made
        finally:
            os.close(fd)

    def close(self) -> None:
        """Unmap it here."""
        for view in (self.place_words, self.place_floats, self._words):
            view.release()
        self._map.close()

    # Who lives, and how many connections each has.

    def pid(self, slot: int) -> int:
        """The process in a slot; 0 when the slot is free."""
        return self._words[slot * _SLOT_WORDS + _PID]

    def occupy(self, slot: int, pid: int) -> None:
        """Say which process is in a slot, which has no connections yet; 0 for none."""
        self._words[slot * _SLOT_WORDS + _CONNECTIONS] = 0
        self._words[slot * _SLOT_WORDS + _PID] = pid

    def alive(self) -> list[int]:
        """The slots in which there is a process, but for the supervisor's."""
        return [slot for slot in self.slots[1:] if self.pid(slot)]

    def set_connections(self, slot: int, count: int) -> None:
        self._words[slot * _SLOT_WORDS + _CONNECTIONS] = count

    def connections(self, slot: int) -> int:
        return self._words[slot * _SLOT_WORDS + _CONNECTIONS]

    # What each has published.

    def publish(self, slot: int, content: bytes) -> None:
        """Replace what a slot has published; readers get the old or the new value, whole, even if the process dies meanwhile."""
        if len(content) + _WORD > REGION_BYTES:
            raise ValueError(f"{len(content)} bytes are too many to be published")
        at = slot * _SLOT_WORDS + _PUBLISHED
        turn = self._words[at] + 1
        os.pwrite(self.fd, len(content).to_bytes(_WORD, "little") + content, _region(slot, turn))
        self._words[at] = turn

    def published(self, slot: int) -> bytes:
        """What the process in a slot has published last, though it may have ended; empty where there was none."""
        at = slot * _SLOT_WORDS + _PUBLISHED
        while turn := self._words[at]:
            region = _region(slot, turn)
            size = int.from_bytes(os.pread(self.fd, _WORD, region), "little")
            content = os.pread(self.fd, size, region + _WORD)
            if self._words[at] - turn <= 1:
                return content
            # It was written over while we read.
        return b""


def _region(slot: int, turn: int) -> int:
    return _REGIONS_AT + (2 * slot + turn % 2) * REGION_BYTES
