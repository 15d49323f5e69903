"""Whose turn it is to accept a connection, of processes that listen at one socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pushkeeper.interprocess.memory import SharedMemory


class Turns(Protocol):
    """When one of several processes accepts a connection.

    Attributes:
        patience_s: for how long another process is waited for, when it is its turn, as it may hang.
    """

    patience_s: float

    def report(self, connections: int) -> None:
        """Say how many this process has open."""

    @property
    def is_ours(self) -> bool:
        """Whether it is this process's turn."""


class FewestFirst:
    """The process that has the fewest connections accepts the next one."""

    def __init__(self, memory: SharedMemory, slot: int, *, patience_s: float = 0.005) -> None:
        self.patience_s = patience_s
        self._memory = memory
        self._slot = slot

    def report(self, connections: int) -> None:
        """Say how many this process has open."""
        self._memory.set_connections(self._slot, connections)

    @property
    def is_ours(self) -> bool:
        """Whether no process has fewer connections than this one."""
        memory = self._memory
        ours = memory.connections(self._slot)
        return all(memory.connections(slot) >= ours for slot in memory.alive())


class AcceptAlways:
    """This process accepts while there is no other that could: what it has to say is no better than nothing."""

    patience_s = 1.0

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory

    def report(self, connections: int) -> None:
        """It has no part in what others share."""

    @property
    def is_ours(self) -> bool:
        """Whether no process of the service answers."""
        return not self._memory.alive()
