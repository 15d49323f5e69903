"""Whose turn it is to accept a connection, of processes that listen at one socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushkeeper.interprocess.memory import SharedMemory


class Turns:
    """The process that has the fewest connections accepts the next one."""

    def __init__(self, memory: SharedMemory, slot: int, *, patience_s: float = 0.005) -> None:
        """One that does not accept when it is its turn, as it hangs, is waited for with some patience."""
        self.patience_s = patience_s
        self._memory = memory
        self._slot = slot

    def tell(self, connections: int) -> None:
        """Say how many this process has open."""
        self._memory.set_connections(self._slot, connections)

    @property
    def is_ours(self) -> bool:
        """Whether no process has fewer connections than this one."""
        memory = self._memory
        ours = memory.connections(self._slot)
        return all(memory.connections(slot) >= ours for slot in memory.alive())
