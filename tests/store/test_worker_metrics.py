"""What workers count adds up over all that ever worked, and never goes back."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from pushkeeper.core.delivery.retry import End
from pushkeeper.observability.meters import Histogram, Series
from pushkeeper.observability.metrics import Metric
from pushkeeper.store.delivery import workers
from pushkeeper.store.reports import metrics
from pushkeeper.worker import upkeep
from pushkeeper.worker.lanes import Lanes
from pushkeeper.worker.metrics import WorkerMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.store.db.database import Database

NOBODY = UUID(int=0)


class One:
    """A worker that does nothing but count and tell."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.worker_id = uuid4()
        self.metrics = WorkerMetrics()

    def post(self, times: int) -> None:
        for _ in range(times):
            self.metrics.posted("taken")

    async def beat(self) -> None:
        await upkeep.beat(self.database, self.worker_id, Lanes(), self.metrics, 7)

    async def leave(self) -> None:
        last = self.metrics.changed(Lanes(), 0, now=0.0, new=False)
        await workers.leave(self.database, self.worker_id, samples=last)

    async def is_forgotten(self) -> None:
        """It gave no sign of life for a day, and another worker left."""
        await self.database.rows(
            "update workers set seen_at = now() - interval '2 days' where worker_id = $1", self.worker_id
        )
        await One(self.database).leave()


@pytest_asyncio.fixture
async def empty(database: Database) -> AsyncIterator[Database]:
    """Without any worker, or figures of one."""
    await database.rows("delete from workers")
    await database.rows("delete from worker_figures")
    yield database
    await database.rows("delete from workers")
    await database.rows("delete from worker_figures")


async def posts(database: Database) -> float:
    told = metrics.read(await workers.totals(database))
    (found,) = [series.value for series in told if series.metric is Metric.WEBHOOK_POSTS]
    assert isinstance(found, float)
    return found


async def unsettled(database: Database) -> float | None:
    told = metrics.read(await workers.totals(database))
    found = [series.value for series in told if series.metric is Metric.UNSETTLED]
    assert all(isinstance(value, float) for value in found)
    return float(found[0]) if found and isinstance(found[0], float) else None


async def test_what_several_count_is_added_and_told_again_is_not_added_again(empty: Database) -> None:
    one, other = One(empty), One(empty)
    one.post(3)
    other.post(4)
    for _ in range(2):
        await one.beat()
        await other.beat()
        assert await posts(empty) == 7
        assert await unsettled(empty) == 14
    one.post(1)
    await one.beat()
    assert await posts(empty) == 8
    assert await workers.alive(empty) == 2


async def test_what_a_worker_counted_stays_when_it_ends_and_how_it_stood_goes(empty: Database) -> None:
    one, other = One(empty), One(empty)
    one.post(3)
    await one.beat()
    one.post(2)  # not told yet: it goes along with the farewell
    await one.leave()
    assert await posts(empty) == 5
    assert await unsettled(empty) is None
    other.post(4)
    await other.beat()
    await other.leave()
    assert await posts(empty) == 9
    rows = await empty.rows("select distinct worker_id from worker_figures")
    assert [row["worker_id"] for row in rows] == [NOBODY]


async def test_a_worker_that_was_killed_is_inherited_from_when_it_is_forgotten(empty: Database) -> None:
    one = One(empty)
    one.post(3)
    await one.beat()
    await one.is_forgotten()
    assert await posts(empty) == 3
    assert await empty.value("select count(*) from worker_figures where worker_id <> $1", NOBODY) == 0


async def test_a_worker_that_comes_back_after_it_was_forgotten_is_not_counted_twice(empty: Database) -> None:
    one = One(empty)
    one.post(3)
    await one.beat()
    await one.is_forgotten()
    one.post(2)
    for _ in range(2):
        await one.beat()
        assert await posts(empty) == 5
    await one.is_forgotten()
    one.post(1)
    await one.beat()
    one.post(1)
    await one.leave()
    assert await posts(empty) == 7


async def test_only_what_changed_is_told_again(empty: Database) -> None:
    one = One(empty)
    one.post(3)
    await one.beat()
    one.post(1)
    news = one.metrics.changed(Lanes(), 7, now=0.0, new=False)
    names = {series.metric for series in metrics.read({figure.series: figure.value for figure in news})}
    assert Metric.WEBHOOK_POSTS in names
    assert names <= {Metric.WEBHOOK_POSTS, Metric.WORKER_CPU, Metric.WORKER_MEMORY}


async def test_a_spread_is_stored_by_its_bounds_and_read_as_it_was(empty: Database) -> None:
    spread = Histogram(Metric.SETTLE_DURATION.value.bounds)
    for seconds in (0.0005, 0.02, 3.0, 99.0):
        spread.observe(seconds)
    told = metrics.written([Series(Metric.SETTLE_DURATION, (), spread)])

    def news(*, new: bool) -> list[workers.MetricSample]:
        assert new
        return told

    await workers.beat(empty, uuid4(), news)
    await workers.beat(empty, uuid4(), news)
    (found,) = metrics.read(await workers.totals(empty))
    assert isinstance(found.value, Histogram)
    assert found.value.counts == [2 * count for count in spread.counts]
    assert found.value.total == pytest.approx(2 * spread.total)


def test_what_only_another_release_knows_is_left_out() -> None:
    stored = {
        '["pushkeeper_of_the_future",[],""]': 1.0,
        '["pushkeeper_webhook_posts",["taken","and more"],""]': 1.0,
        '["pushkeeper_webhook_posts",["taken"],""]': 2.0,
        '["pushkeeper_settle_duration_seconds",[],"0.123"]': 5.0,
        '["pushkeeper_settle_duration_seconds",[],"0.5"]': 4.0,
        '["pushkeeper_pushes_settled",["apns","bounced","P2"],""]': 1.0,
    }
    found = {series.metric: series.value for series in metrics.read(stored)}
    assert found[Metric.WEBHOOK_POSTS] == 2.0
    assert Metric.PUSHES not in found
    spread = found[Metric.SETTLE_DURATION]
    assert isinstance(spread, Histogram)
    assert sum(spread.counts) == 4


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("apns_unregistered", "apns_unregistered"),
        ("fcm_quota_exceeded_project", "fcm_quota_exceeded_project"),
        ("other_platform", "other_platform"),
        ("malformed", "malformed"),
        ("because Ann said so", "other"),
        ("P2", "other"),
        ("", "other"),
    ],
)
def test_what_somebody_wrote_makes_no_label(reason: str, label: str) -> None:
    from pushkeeper.worker.in_hand import Work
    from pushkeeper.worker.results import NotSent

    counted = WorkerMetrics()
    outcome = NotSent(Work.__new__(Work), None, End.FAILED, reason)  # type: ignore[arg-type]  # neither is looked at
    counted.settled([outcome], took_s=0.1)
    told = metrics.read({f.series: f.value for f in counted.changed(Lanes(), 0, now=0.0, new=True)})
    (labels,) = [series.labels for series in told if series.metric is Metric.PUSHES]
    assert labels == ("none", "failed", label)
