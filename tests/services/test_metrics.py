"""What a worker did is told by the API, whichever process that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushkeeper.observability.meters import Histogram
from pushkeeper.observability.metrics import Metric
from pushkeeper.services import metrics_snapshot
from pushkeeper.services.metrics_snapshot import MetricsSnapshot
from support.engine import eventually

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database
    from support.engine import Tenant


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody scrapes: what takes long on a busy machine, over the devices of all tests, is told all the same."""
    monkeypatch.setattr(metrics_snapshot, "PATIENCE_S", 60.0)
    monkeypatch.setattr(metrics_snapshot, "FIRST_ANSWER_WITHIN_S", 60.0)


async def told(database: Database) -> dict[tuple[Metric, tuple[str, ...]], float | Histogram]:
    return {
        (series.metric, series.labels): series.value for series in await MetricsSnapshot(database).gather()
    }


async def test_pushes_responses_and_waits_are_counted_by_the_sender(tenant: Tenant) -> None:
    database = tenant.database
    before = await told(database)
    [gone, there] = tenant.mint("ios", 2)
    await tenant.register("ann", gone, "ios")
    await tenant.register("ann", there, "ios")
    tenant.simulator.world.uninstall([gone])
    await tenant.push("ann")
    await tenant.settled(2)
    name = await database.value("select name from workspaces where workspace_id = $1", tenant.workspace_id)
    route = (name, "apns:production:com.example.app")

    def more(now: dict[tuple[Metric, tuple[str, ...]], float | Histogram], *labels: str) -> float:
        key = (Metric.PUSHES, labels)
        found, former = now.get(key, 0.0), before.get(key, 0.0)
        assert isinstance(found, float)
        assert isinstance(former, float)
        return found - former

    async def ask() -> dict[tuple[Metric, tuple[str, ...]], float | Histogram] | None:
        now = await told(database)
        return now if more(now, "apns", "accepted", "apns_accepted") else None

    now = await eventually(ask)
    assert more(now, "apns", "accepted", "apns_accepted") == 1
    assert more(now, "apns", "bounced", "apns_unregistered") == 1
    assert now[Metric.ROUTE_ANSWERS, (*route, "accepted")] == 1
    assert now[Metric.ROUTE_ANSWERS, (*route, "definite")] == 1
    assert now[Metric.ROUTE_PAUSED, (*route, "none")] == 0
    assert now[Metric.ROUTE_IN_FLIGHT, route] == 0
    assert now[Metric.ROUTE_BREAKER, route] == 0
    assert (Metric.ROUTE_RATE, route) not in now  # nothing bounds APNs
    assert now[Metric.WORKERS, ()] >= 1
    assert now[Metric.DEVICES, (name, "ios", "sent")] == 1
    assert now[Metric.DEVICES, (name, "ios", "bounced")] == 1
    delays = now[Metric.CLAIM_DELAY, ("0",)]
    assert isinstance(delays, Histogram)
    assert sum(delays.counts) >= 1


async def test_the_queue_and_what_blocks_it_are_reported(tenant: Tenant) -> None:
    database = tenant.database
    [token] = tenant.mint("ios")
    await tenant.register("ben", token, "ios")
    await tenant.call("POST", "/api/v1/routes/apns:production:com.example.app/pause", {"reason": "a test"})
    await tenant.push("ben")
    await tenant.waiting()
    name = await database.value("select name from workspaces where workspace_id = $1", tenant.workspace_id)
    now = await told(database)
    assert now[Metric.ROUTE_PAUSED, (name, "apns:production:com.example.app", "operator")] == 1
    assert now[Metric.QUEUE_DEVICES, (name, "0", "held")] == 1
    assert (Metric.QUEUE_OLDEST, (name, "0")) not in now  # nothing that could be sent waits
