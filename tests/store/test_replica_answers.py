"""With a read replica every answer is what it would be without; metrics and the doctor say how it does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper import wiring
from pushkeeper.config import Settings
from pushkeeper.core.filters import from_text
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.identity import of_path
from pushkeeper.core.model import Platform, Token
from pushkeeper.observability.metrics import Metric
from pushkeeper.services.doctor import State
from pushkeeper.services.doctor.replica import of_replica
from pushkeeper.services.metrics_snapshot import MetricsSnapshot
from pushkeeper.services.people import People
from pushkeeper.store.audiences import audiences
from pushkeeper.store.audiences.audiences import Audience
from pushkeeper.store.broadcasts import forecasts, results
from pushkeeper.store.devices import pages as device_pages
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people import pages as person_pages
from pushkeeper.store.people.people import PersonReference
from pushkeeper.store.reports import insights, reach
from support.examples import examples
from support.standby import answered_by, reading_from, replica_of, server_of, standby_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from support.standby import Server

NOW = datetime.now(UTC)


@pytest_asyncio.fixture(scope="module")
async def standby(database: Database) -> AsyncIterator[Server]:
    with standby_of(await server_of(database.url)) as made:
        yield made


@pytest_asyncio.fixture
async def replicated(standby: Server, database: Database) -> AsyncIterator[Database]:
    async with reading_from(standby.url, database) as opened:
        yield opened


def _audience(tenant: WorkspaceId, node: Node, unit: Unit) -> Audience:
    return Audience(workspace_id=tenant, node=node, unit=unit, now=NOW)


NAMES = st.sampled_from(["ann", "bob", "cyd"])
PLATFORMS = st.sampled_from([Platform.IOS, Platform.ANDROID])
FILTERS = st.sampled_from(
    ["platform = ios", "platform = android", "status = unused", "person.id = ann", "not person.id = ann"]
)
ANSWERS: list[Callable[[Database, WorkspaceId, Node], Awaitable[object]]] = [
    lambda database, tenant, node: audiences.size(database, _audience(tenant, node, Unit.DEVICE)),
    lambda database, tenant, node: audiences.size(database, _audience(tenant, node, Unit.PERSON)),
    lambda database, tenant, node: audiences.devices(
        database, _audience(tenant, node, Unit.DEVICE), after=b"", limit=10
    ),
    lambda database, tenant, node: audiences.differences(database, _audience(tenant, node, Unit.PERSON)),
    lambda database, tenant, node: device_pages.page(
        database, tenant, node, after=device_pages.FIRST, limit=10
    ),
    device_pages.share,
    lambda database, tenant, node: person_pages.page(
        database, tenant, node, after=person_pages.FIRST, limit=10
    ),
    lambda database, tenant, node: person_pages.search(database, tenant, node, after=0, limit=10),
    lambda database, tenant, _: forecasts.history(database, tenant),
    lambda database, tenant, _: forecasts.fastest_per_s(database, tenant),
    lambda database, tenant, _: insights.pushes(database, tenant, 30),
    lambda database, tenant, _: insights.reasons(database, tenant, 30),
    lambda database, tenant, _: insights.bounces(database, tenant, 30, 10),
    lambda database, tenant, _: insights.bounces_by_day(database, tenant, 30),
    lambda database, tenant, _: results.of_workspace(database, tenant, 10),
    lambda database, tenant, _: reach.hours(database, tenant, 48),
    lambda database, tenant, _: reach.over_time(database, tenant, NOW, daily=False),
]


@settings(
    max_examples=examples(6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(NAMES, PLATFORMS), min_size=1, max_size=3), FILTERS)
async def test_as_soon_as_something_is_written_every_answer_has_it(
    database: Database, replicated: Database, tenant: WorkspaceId, told: list[tuple[str, Platform]], text: str
) -> None:
    registry = People(database)
    for name, platform in told:
        phone = Registration(
            token=Token(f"{name}-{platform}".ljust(64, "x")), platform=platform, last_used=NOW
        )
        await registry.register(PersonReference(workspace_id=tenant, path=of_path(name)), phone)
    node = from_text.read(text)
    before = answered_by("replica")
    for answer in ANSWERS:
        assert await answer(replicated, tenant, node) == await answer(database, tenant, node)
    # Of a filter of people alone, there is no need to ask what it makes of devices wrongly.
    assert answered_by("replica") >= before + len(ANSWERS) - 1


async def test_the_settings_name_it(
    database: Database, standby: Server, tenant: WorkspaceId, tmp_path: Path
) -> None:
    told = Settings(
        data_dir=tmp_path, database_url=database.url, replica_url=standby.url, replica_max_lag_s=60.0
    )
    async with wiring.store(told) as opened:
        assert await opened.database.reading(tenant).value("select pg_is_in_recovery()")


async def test_what_is_counted_to_be_kept_is_counted_on_the_primary(
    replicated: Database, tenant: WorkspaceId
) -> None:
    before = answered_by("replica")
    assert await reach.count(replicated, tenant, first=True)
    assert await insights.count(replicated, tenant, insights.Insight.COHORTS)
    await replicated.know(tenant)
    assert answered_by("replica") == before


async def test_metrics_say_whether_it_is_asked_and_how_far_it_is_behind(
    database: Database, standby: Server, tenant: WorkspaceId
) -> None:
    async def read(opened: Database) -> dict[Metric, object]:
        return {one.metric: one.value for one in await MetricsSnapshot(opened).gather()}

    assert not {Metric.REPLICA_UP, Metric.REPLICA_LAG} & set(await read(database))
    async with reading_from(standby.url, database) as opened:
        found = await read(opened)
        assert found[Metric.REPLICA_UP] == 1.0
        assert found[Metric.REPLICA_LAG] < 60  # type: ignore[operator] # a gauge
    async with reading_from(f"{standby.url}/nowhere", database) as opened:
        found = await read(opened)
        assert found[Metric.REPLICA_UP] == 0.0
        assert found[Metric.DATABASE_UP] == 1.0
        assert Metric.REPLICA_LAG not in found


async def test_the_doctor_says_what_keeps_it_from_answering(
    database: Database, standby: Server, tenant: WorkspaceId
) -> None:
    assert await of_replica(database) == []
    async with reading_from(standby.url, database) as opened:
        await standby.set("hot_standby_feedback", "on")
        assert {one.state for one in await of_replica(opened)} == {State.OK}
        await standby.set("hot_standby_feedback", "off")
        _, feedback, _ = await of_replica(opened)
        assert feedback.state is State.ATTENTION
        assert "hot_standby_feedback" in feedback.said
    async with reading_from(f"{standby.url}/nowhere", database) as opened:
        [away] = await of_replica(opened)
        assert away.state is State.ATTENTION
    # The primary itself.
    async with reading_from(database.url, database) as opened:
        [no_standby] = await of_replica(opened)
        assert no_standby.state is State.WRONG


async def test_a_user_without_privileges_can_be_the_replicas(
    database: Database, standby: Server, tenant: WorkspaceId
) -> None:
    await database.owned.value("create role plain login in role pushkeeper_tenant, pushkeeper_jobs")
    try:
        url = urlsplit(standby.url)._replace(netloc="plain@").geturl()
        async with reading_from(url, database) as opened:
            assert await opened.reading(tenant).value("select pg_is_in_recovery()")
            assert replica_of(opened).trouble is None
            assert any("pg_read_all_stats" in one.todo for one in await of_replica(opened))
    finally:
        await database.owned.value("drop role plain")
