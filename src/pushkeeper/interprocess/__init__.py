"""What the processes of one `serve` share, in memory that they inherit: rate limits, turns to accept, and figures."""

from __future__ import annotations

from pushkeeper.interprocess.memory import SharedMemory
from pushkeeper.interprocess.metrics import SharedMetrics
from pushkeeper.interprocess.rate_limits import RateLimits
from pushkeeper.interprocess.turns import AcceptAlways, FewestFirst, Turns

__all__ = ["Place", "SharedMemory", "Turns"]


class Place:
    """One process's place in the memory of its service."""

    def __init__(self, memory: SharedMemory, slot: int) -> None:
        self._memory = memory
        self._slot = slot
        self.limits = RateLimits(memory)
        self.turns = FewestFirst(memory, slot)
        self.turns_while_starting = AcceptAlways(memory)
        self.figures = SharedMetrics(memory, slot)

    def leave(self) -> None:
        """Be none of the processes that answer any more."""
        self._memory.occupy(self._slot, 0)
