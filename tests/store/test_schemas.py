"""Where the tables lie: in the schema that the search path leads to, beside those of other installations."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.identity import of_path
from pushkeeper.core.model import Platform, Token
from pushkeeper.errors import Misconfigured
from pushkeeper.services.audiences import Audiences
from pushkeeper.services.doctor import State, platform
from pushkeeper.services.people import People
from pushkeeper.store import jobs
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import migrate, retention
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.retention import Keep
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people.people import PersonReference
from pushkeeper.store.reports import insights, reach
from pushkeeper.store.reports.insights import Insight
from support.schemas import side_by_side

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.driver import Connection

KEEP = Keep(pushes_days=90, history_days=400, events_days=90, exports_days=30, outbox_days=30)
NAMED = "select c.relname from pg_class c where c.relnamespace = to_regnamespace($1) and c.relkind in ('r', 'p', 'S', 'i')"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def both(database: Database) -> AsyncIterator[tuple[Database, Database]]:
    async with side_by_side(database) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def tenants(both: tuple[Database, Database]) -> tuple[WorkspaceId, WorkspaceId]:
    """A workspace in each, which have the same number."""
    one, two = [(await workspaces.create(each, secrets.token_hex(8)))[0].workspace_id for each in both]
    assert one == two
    return one, two


async def register(database: Database, workspace: WorkspaceId) -> None:
    by = PersonReference(workspace_id=workspace, path=of_path("ann"))
    phone = Registration(token=Token("T" * 64), platform=Platform.IOS, last_used=datetime.now(UTC))
    await People(database).register(by, phone)


async def names(database: Database, schema: str) -> set[str]:
    return {row["relname"] for row in await database.owned.rows(NAMED, schema)}


async def test_both_have_all_tables_indexes_and_partitions(both: tuple[Database, Database]) -> None:
    one, two = both
    assert await names(one, "one") == await names(two, "two") != set()
    for each in both:
        assert [found.state for found in await platform.partitions(each, KEEP)] == [State.OK]
        assert {found.state for found in await platform.schema(each)} == {State.OK}


async def test_a_device_of_one_is_not_in_the_other(
    both: tuple[Database, Database], tenants: tuple[WorkspaceId, WorkspaceId]
) -> None:
    for each, tenant in zip(both, tenants, strict=True):
        count = "select count(*) from devices where workspace_id = $1"
        assert await each.of(tenant).value(count, tenant) == 0
        await register(each, tenant)
        assert await each.of(tenant).value(count, tenant) == 1


async def test_old_partitions_of_one_are_not_those_of_the_other(both: tuple[Database, Database]) -> None:
    one, two = both
    old = "create table pushes_20200101 partition of pushes for values from ('2020-01-01') to ('2020-01-02')"
    for each in both:
        await each.owned.rows(old)
    assert await retention.drop_partitions(one, KEEP) == ["pushes_20200101"]
    assert "pushes_20200101" in {partition.name for partition in await retention.partitions(two)}
    await migrate.make_partitions(two)
    assert await retention.drop_partitions(two, KEEP) == ["pushes_20200101"]


async def test_what_one_does_alone_does_not_keep_the_other_from_it(
    both: tuple[Database, Database], tenants: tuple[WorkspaceId, WorkspaceId]
) -> None:
    one, two = both
    mine, theirs = tenants

    async def work(connection: Connection) -> None:
        assert await connection.fetchval(reach.SQL["try_lock"], mine)
        assert await connection.fetchval(insights.SQL["try_lock"], mine, Insight.TOKENS.value)
        assert await connection.fetchval(retention.SQL["alone"], retention._TIDY_LOCK)
        await connection.execute(jobs.SQL["alone"], jobs.EXPORT.name)
        assert await reach.count(two, theirs)
        assert await insights.count(two, theirs, Insight.TOKENS)
        await two.owned.rows(
            "create table pushes_20200101 partition of pushes for values from ('2020-01-01') to ('2020-01-02')"
        )
        assert await retention.drop_partitions(two, KEEP) == ["pushes_20200101"]
        assert await retention.drop_partitions(one, KEEP) == []
        assert await jobs.claim(two, jobs.EXPORT, most=1, lease_s=1.0) == []

    await one.in_transaction(work)


async def test_an_index_of_one_is_advised_in_the_other(
    both: tuple[Database, Database], tenants: tuple[WorkspaceId, WorkspaceId]
) -> None:
    for each, tenant in zip(both, tenants, strict=True):
        await register(each, tenant)
        plan = await Audiences(each).explain(tenant, "person.visits > 990", Unit.DEVICE)
        [advice] = plan.advice
        await each.owned.rows(advice.index.sql)
        assert (await Audiences(each).explain(tenant, "person.visits > 990", Unit.DEVICE)).advice == ()


@asynccontextmanager
async def of_a_user(database: Database, *, is_owner: bool, query: str = "") -> AsyncIterator[Database]:
    """A database that a user of its own opens, who may take our roles."""
    name = f"user_{secrets.token_hex(6)}"
    await database.owned.value(f"create role {name} login")
    await database.owned.value(f"grant pushkeeper_tenant, pushkeeper_jobs to {name}")
    await database.owned.value(
        f"create database {name} {f'owner {name}' if is_owner else ''} template template0"
    )
    address = urlsplit(database.url)
    url = address._replace(
        netloc=f"{name}@{address.netloc.rpartition('@')[2]}", path=f"/{name}", query=f"{address.query}{query}"
    )
    own = await Database.open(url.geturl(), connections=4)
    try:
        yield own
    finally:
        await own.close()
        await database.owned.value(f"drop database {name} with (force)")
        await database.owned.value(f"drop role {name}")


async def test_the_tables_may_lie_in_a_schema_of_the_users_name(database: Database) -> None:
    """By the default search path, "$user", public; what runs for tenants runs as another user."""
    async with of_a_user(database, is_owner=True) as own:
        name = await own.value("select current_user")
        await own.value(f"create schema {name}")
        await migrate.migrate(own)
        assert own.rows_are_secured
        made, _ = await workspaces.create(own, "shop")
        await register(own, made.workspace_id)
        assert "devices" in await names(own, name)
        assert "devices" not in await names(own, "public")


@pytest.mark.parametrize(
    ("is_owner", "query", "says"),
    [
        (True, "&options=-csearch_path%3Dshop", "no schema of the search path exists"),
        (False, "", "permission denied for schema public"),  # since PostgreSQL 15
    ],
)
async def test_where_no_tables_can_be_created_is_said(
    database: Database, *, is_owner: bool, query: str, says: str
) -> None:
    async with of_a_user(database, is_owner=is_owner, query=query) as own:
        with pytest.raises(Misconfigured, match=says):
            await migrate.migrate(own)
