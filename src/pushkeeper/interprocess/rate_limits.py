"""How many calls keys may make in a second, counted for all processes of the service together."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pushkeeper.core.delivery.rate_limit import Bucket
from pushkeeper.interprocess.memory import PLACE_WORDS, PLACES, SharedMemory

if TYPE_CHECKING:
    from collections.abc import Iterator


_KINDS = {"track": 1, "app": 2, "cdp": 3}
_TOGETHER = 8  # places in which a bucket may be
_GROUP_BITS = (PLACES // _TOGETHER - 1).bit_length()
_SPREAD = 0x9E3779B97F4A7C15  # by which neighbours land far from each other (Knuth, "multiplicative hashing")
_64_BITS = 2**64 - 1
_TRIES = 100
_KEY, _TOKENS, _FILLED_AT = range(3)


class RateLimits:
    """A token bucket for each kind of key of each workspace.

    A place of the shared memory holds a key, the tokens and when they were last filled, by the clock that all processes of
    a machine share. Where more buckets are in use than there are places for, the one unused for longest is forgotten: it is
    full long since.
    """

    def __init__(self, memory: SharedMemory | None = None) -> None:
        """Without shared memory, the calls of this process are counted alone."""
        self._memory = memory or SharedMemory()
        self._alone = memory is None

    def take(self, kind: str, workspace: int, per_s: int) -> float:
        """Take one call, and return 0; if none is left, the seconds until there is one."""
        with self._bucket(kind, workspace) as bucket:
            bucket.fill(per_s, time.monotonic())
            return 0.0 if bucket.take() else bucket.empty_for_s(per_s)

    def owe(self, kind: str, workspace: int, count: int) -> None:
        """Take so many calls in advance, of those that have called before."""
        with self._bucket(kind, workspace) as bucket:
            bucket.owe(count)

    @contextmanager
    def _bucket(self, kind: str, workspace: int) -> Iterator[Bucket]:
        """A bucket, to be changed while no other process does."""
        key = workspace << 2 | _KINDS[kind]
        group = (key * _SPREAD & _64_BITS) >> (64 - _GROUP_BITS)
        words, floats = self._memory.place_words, self._memory.place_floats
        locked = not self._alone and self._lock(group)
        try:
            at = self._place(group, key)
            known = words[at + _KEY] == key
            bucket = Bucket(floats[at + _TOKENS], floats[at + _FILLED_AT]) if known else Bucket()
            yield bucket
            if bucket.filled_at is not None:
                words[at + _KEY] = key
                floats[at + _TOKENS] = bucket.tokens
                floats[at + _FILLED_AT] = bucket.filled_at
        finally:
            if locked:
                fcntl.lockf(self._memory.fd, fcntl.LOCK_UN, 1, group)

    def _place(self, group: int, key: int) -> int:
        words, floats = self._memory.place_words, self._memory.place_floats
        first = group * _TOGETHER * PLACE_WORDS
        places = range(first, first + _TOGETHER * PLACE_WORDS, PLACE_WORDS)
        oldest = first
        for at in places:
            if words[at + _KEY] == key:
                return at
            if floats[at + _FILLED_AT] < floats[oldest + _FILLED_AT]:
                oldest = at
        return oldest

    def _lock(self, group: int) -> bool:
        """Keep others from a group for a moment; whether that was possible.

        The kernel gives a killed process's lock back. One that is stopped while it has it must not stop us: then one call may
        be counted twice, or not at all.
        """
        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._memory.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, group)
            except OSError:
                os.sched_yield()
            else:
                return True
        return False
