"""Chores do one item after the other, and none that fails stops those that come after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from pushkeeper.errors import Unreachable
from pushkeeper.observability.meters import Series
from pushkeeper.observability.metrics import Metric
from pushkeeper.services.accounts import Users
from pushkeeper.services.reports.insights import Insights
from pushkeeper.services.reports.reach import ReachReports
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db.retention import Keep
from pushkeeper.store.reports import reach
from pushkeeper.worker.jobs.each import Each
from pushkeeper.worker.jobs.reports import Counting
from pushkeeper.worker.jobs.retention import Retention
from pushkeeper.worker.metrics import WorkerMetrics
from support.databases import own_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

KEEP = Keep(pushes_days=None, history_days=None, events_days=None, exports_days=30, outbox_days=None)


@pytest_asyncio.fixture
async def alone(database: Database) -> AsyncIterator[Database]:
    async with own_database(database) as opened:
        yield opened


async def three(database: Database) -> list[WorkspaceId]:
    return [(await workspaces.create(database, name))[0].workspace_id for name in ("a", "b", "c")]


async def spoil(database: Database, table: str, workspace: WorkspaceId) -> None:
    """Let whatever changes a workspace's rows of a table fail, as a broken index or a full disk would."""
    await database.owned.rows(
        "create function spoil() returns trigger language plpgsql as $$ begin raise exception 'spoilt'; end $$"
    )
    for event, row in (("insert or update", "new"), ("delete", "old")):
        await database.owned.rows(
            f"create trigger spoil_{row} before {event} on {table} for each row "
            f"when ({row}.workspace_id = {workspace}) execute function spoil()"
        )


async def test_what_can_not_be_forgotten_of_one_workspace_is_of_the_others(alone: Database) -> None:
    several = await three(alone)
    old = datetime.now(UTC) - timedelta(days=40)
    insert = "insert into exports (workspace_id, kind, asked, state, updated_at) values ($1, 'customers', '{}', 'done', $2)"
    for workspace in several:
        await alone.rows(insert, workspace, old)
    await spoil(alone, "exports", several[0])
    await Retention(alone, KEEP, WorkerMetrics()).look()
    rows = await alone.rows("select workspace_id from exports")
    assert [row["workspace_id"] for row in rows] == several[:1]


async def test_a_partition_that_can_not_be_dropped_keeps_no_other(alone: Database) -> None:
    names = ("events_202001", "events_202002", "events_202003")
    for month, name in enumerate(names, start=1):
        await alone.owned.rows(
            f"create table {name} partition of events for values from ('2020-0{month}-01') to ('2020-0{month + 1}-01')"
        )
    await alone.owned.rows("create view somebody_elses as select * from events_202001")
    metrics = WorkerMetrics()
    await Retention(alone, replace(KEEP, events_days=30), metrics).look()
    left = [name for name in names if await alone.value("select to_regclass($1)", name) is not None]
    assert left == ["events_202001"]
    assert Series(Metric.JOB_ATTEMPTS, ("partitions", "put_off"), 1.0) in metrics._meters.series()


async def test_a_workspace_that_can_not_be_counted_holds_up_no_other_and_no_other_step(
    alone: Database,
) -> None:
    several = await three(alone)
    await spoil(alone, "reach_now", several[0])
    await alone.rows(
        "insert into login_failures (at, name_hash, address) values (now() - interval '1 day', $1, '')",
        bytes(32),
    )
    await Counting(ReachReports(alone), Insights(alone), Users(alone), WorkerMetrics()).look()
    counted = [await reach.now(alone, workspace) is not None for workspace in several]
    assert counted == [False, True, True]
    assert await alone.value("select count(*) from login_failures") == 0


@pytest.mark.parametrize(
    "error", [ValueError(), RecursionError(), MemoryError(), Unreachable("it takes too long")]
)
async def test_what_failed_is_left_out_for_a_while_and_counted(error: Exception) -> None:
    metrics, done = WorkerMetrics(), []

    async def work(item: int) -> None:
        if item == 1:
            raise error
        done.append(item)

    each = Each("count", metrics)
    await each.do([1, 2, 3], work)
    await each.do([1, 2, 3], work)
    assert done == [2, 3, 2, 3]
    attempts = {
        series.labels: series.value
        for series in metrics._meters.series()
        if series.metric is Metric.JOB_ATTEMPTS
    }
    assert attempts == {("count", "done"): 4.0, ("count", "put_off"): 1.0}


async def test_a_database_that_does_not_answer_is_asked_no_hundred_times() -> None:
    asked = []

    async def work(item: int) -> None:
        asked.append(item)
        raise Unreachable("it is down")

    with pytest.raises(Unreachable):
        await Each("count", WorkerMetrics()).do(range(100), work)
    assert asked == [0, 1, 2]
