"""On how many processes `make test` runs its files, in which order, and which of them one process runs together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    import pytest

# What starts processes and waits for them takes longest, and half of that time no processor.
_WAITING = ("journey", "clients", "browser")
# The pure rings, whose files take a second each, even out the end.
_RINGS = (
    *_WAITING,
    *("services", "dashboard", "api", "store", "worker"),
    *("simulator", "web", "rendering", "interprocess", "law", "providers", "core"),
)
# Their files share a service and a story in it, which take long to start, or what they read of all our files.
_TOGETHER = ("browser", "clients", "law")


def rank(nodeid: str) -> int:
    """Where a test comes in the order; those that are not named come first, as nobody knows how long they take."""
    ring = _ring(nodeid)
    return _RINGS.index(ring) if ring in _RINGS else -1


def _ring(nodeid: str) -> str:
    return next(iter(nodeid.removeprefix("tests/").split("/", maxsplit=1)))


def processes() -> int:
    """A process for each processor, and one more for each two, which fill in where those wait."""
    processors = len(os.sched_getaffinity(0))
    return processors + processors // 2


class Schedule(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """A file to a process, in the order of their collection, and all files of some rings to one.

    Processes beyond the number of processors begin with files that use no shared process.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False  # by the number of tests, of which the slowest files have few
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        ring = _ring(nodeid)
        scope: str = ring if ring in _TOGETHER else super()._split_scope(nodeid)
        return scope

    def _assign_work_unit(self, node: Any) -> None:
        if [*self.assigned_work].index(node) >= len(os.sched_getaffinity(0)):
            computing = (scope for scope in self.workqueue if _ring(scope) not in _WAITING)
            self.workqueue.move_to_end(next(computing, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)
