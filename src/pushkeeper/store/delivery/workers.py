"""Workers: who sends now, so that each knows its share, and what each has counted."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

ALIVE_FOR_S = 15.0


class MetricSample(NamedTuple):
    """One metric's value; `adds_up`: it is kept when the worker ends."""

    series: str
    adds_up: bool
    value: float


class AliveWorkers(NamedTuple):
    """How many workers are alive, this one among them, and whether it was not known until now."""

    workers: int
    new: bool


class WorkerReport(Protocol):
    """The metrics of a worker that changed; all of them if it is new to the database."""

    def __call__(self, *, new: bool) -> Sequence[MetricSample]: ...


async def beat(database: Database, worker: UUID, report: WorkerReport) -> AliveWorkers:
    """Say that this worker is alive, and what it counted."""

    async def work(connection: Connection) -> AliveWorkers:
        row = await connection.fetchrow(SQL["beat"], worker, socket.gethostname(), os.getpid(), ALIVE_FOR_S)
        assert row is not None  # noqa: S101 - the query has a row
        if changed := report(new=row["new"]):
            await connection.execute(SQL["figures"], worker, *columns(changed, 3))
        return AliveWorkers(row["alive"], row["new"])

    return await database.in_transaction(work)


async def leave(database: Database, worker: UUID, *, samples: Sequence[MetricSample] = ()) -> None:
    """Say that this worker ends; what it counted, these last figures too, is kept."""

    async def work(connection: Connection) -> None:
        if samples:
            await connection.execute(SQL["figures"], worker, *columns(samples, 3))
        await connection.execute(SQL["leave"], worker)
        await connection.execute(SQL["inherit"])

    await database.in_transaction(work)


async def totals(database: Database, *, alive_for_s: float = ALIVE_FOR_S) -> dict[str, float]:
    """The sum of each series over all workers: those that ended too where it adds up."""
    return {row["series"]: row["value"] for row in await database.rows(SQL["all_figures"], alive_for_s)}


async def alive(database: Database, *, alive_for_s: float = ALIVE_FOR_S) -> int:
    """How many workers gave a sign of life."""
    found: int = await database.value(SQL["alive"], alive_for_s)
    return found
