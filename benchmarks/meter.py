"""What operations cost: CPU of our processes and of PostgreSQL, write-ahead log, and pages read."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from benchmarks import processes
from pushkeeper.store.db.queries import read_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushkeeper.store.db.database import Database

SQL = read_queries(resources.files("benchmarks").joinpath("sql", "size.sql").read_text(encoding="utf-8"))

HEADINGS = [
    "operation",
    "how many",
    "a second",
    "µs ours",
    "µs PG",
    "WAL bytes",
    "of that images",
    "pages",
    "not cached",
]
_PAGE_BYTES = 8_192


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What operations of one kind cost together.

    Attributes:
        ours_cpu_s, postgresql_cpu_s: CPU-seconds, user and system, by the operating system's accounting.
        wal_bytes: write-ahead log, of which `page_images` pages were written whole, as each is at its first change after a
            checkpoint.
        pages_hit, pages_read: pages that were in PostgreSQL's memory, and that the operating system was asked for.
    """

    name: str
    operations: int
    took_s: float
    ours_cpu_s: float
    postgresql_cpu_s: float
    wal_bytes: int
    page_images: int
    pages_hit: int
    pages_read: int

    def row(self) -> list[str]:
        """Cells for a table, of one operation each."""
        each = 1 / self.operations
        return [
            self.name,
            f"{self.operations:,}",
            f"{self.operations / self.took_s:,.0f}" if self.took_s else "",
            f"{self.ours_cpu_s * each * 1e6:,.1f}",
            f"{self.postgresql_cpu_s * each * 1e6:,.1f}",
            f"{self.wal_bytes * each:,.0f}",
            f"{self.page_images * _PAGE_BYTES * each:,.0f}",
            f"{(self.pages_hit + self.pages_read) * each:,.1f}",
            f"{self.pages_read * each:,.2f}",
        ]


class _Reading(NamedTuple):
    at: float
    ours: float
    postgresql: float


class Meter:
    """Measures what is done within `of`; ended processes have told PostgreSQL's counters all."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        """Take the embedded PostgreSQL of this folder."""
        self._database = database
        self._postmaster = processes.postmaster(data_dir)
        self.costs: list[Cost] = []

    @asynccontextmanager
    async def of(self, name: str, operations: int) -> AsyncIterator[Span]:
        """From a checkpoint to the end of the block; CPU and time of its `Span.timed` part alone, if there is one."""
        await self._database.owned.rows("checkpoint")
        before = await self._counters()
        span = Span(self._postmaster)
        span.begin()
        yield span
        span.end()
        after = await self._counters()
        self.costs.append(
            Cost(
                name=name,
                operations=operations,
                took_s=span.took_s,
                ours_cpu_s=span.ours_cpu_s,
                postgresql_cpu_s=span.postgresql_cpu_s,
                **{key: after[key] - before[key] for key in after},
            )
        )

    async def _counters(self) -> dict[str, int]:
        [row] = await self._database.owned.rows(SQL["counters"])
        return dict(row)


class Span:
    """The part of a measurement of which time and CPU count; `pids` are our processes, or this one without any."""

    def __init__(self, postmaster: int) -> None:
        self._postmaster = postmaster
        self._pids: tuple[int, ...] = ()
        self._first = self._last = _Reading(0.0, 0.0, 0.0)

    def begin(self, *pids: int) -> None:
        """It begins here."""
        self._pids = pids
        self._first, self._last = self._now(), _Reading(0.0, 0.0, 0.0)

    def end(self) -> None:
        """It has ended; said again, it ended at the first."""
        if not self._last.at:
            self._last = self._now()

    @property
    def took_s(self) -> float:
        return self._last.at - self._first.at

    @property
    def ours_cpu_s(self) -> float:
        return self._last.ours - self._first.ours

    @property
    def postgresql_cpu_s(self) -> float:
        return self._last.postgresql - self._first.postgresql

    def _now(self) -> _Reading:
        ours = processes.cpu_s(*self._pids) if self._pids else time.process_time()
        return _Reading(time.perf_counter(), ours, processes.cpu_s(self._postmaster))
