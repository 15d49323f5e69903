"""Surveys: few of a workspace at once, in turn, on separate connections, and rejected with a reason."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.errors import BadRequest, TooManyRequests, TooSlow
from pushkeeper.services.audiences import Audiences
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import surveys
from pushkeeper.store.db.database import Database
from support.engine import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.driver import Connection

LOCK = 8_812_001
WAITS = f"select pg_advisory_xact_lock_shared({LOCK}), $1::bigint as workspace, $2::int as number"
AT_ONCE = "select count(*) from pg_locks where locktype = 'advisory' and objid = $1 and not granted"


@asynccontextmanager
async def locked(database: Database) -> AsyncIterator[asyncio.Event]:
    """While it lasts, or until the event is set, surveys that ask for the lock take time."""
    held, let_go = asyncio.Event(), asyncio.Event()

    async def work(connection: Connection) -> None:
        await connection.execute(f"select pg_advisory_xact_lock({LOCK})")
        held.set()
        await let_go.wait()

    locking = asyncio.create_task(database.in_transaction(work))
    await held.wait()
    try:
        yield let_go
    finally:
        let_go.set()
        await locking


async def waiting_for_it(database: Database, count: int) -> None:
    async def are_waiting() -> bool:
        return bool(await database.owned.value(AT_ONCE, LOCK) == count)

    await eventually(are_waiting)


@pytest.fixture
async def other(database: Database) -> WorkspaceId:
    made, _ = await workspaces.create(database, secrets.token_hex(8))
    return made.workspace_id


async def test_a_workspace_has_two_at_once_and_others_need_not_wait_for_it(
    database: Database, tenant: WorkspaceId, other: WorkspaceId
) -> None:
    async with locked(database):
        asked = [asyncio.create_task(database.survey(WAITS, tenant, n)) for n in range(20)]
        await waiting_for_it(database, 2)
        [row] = await database.survey("select $1::bigint as workspace", other)
        assert row["workspace"] == other
        assert await database.of(tenant).value("select 1") == 1
        assert await database.owned.value(AT_ONCE, LOCK) == 2
    done = await asyncio.gather(*asked)
    assert [row["number"] for [row] in done] == list(range(20))


async def test_those_of_a_workspace_are_answered_in_the_order_in_which_they_were_asked(
    database: Database, tenant: WorkspaceId
) -> None:
    order: list[int] = []

    async def ask(number: int) -> None:
        async with database.turn_to_survey(tenant):
            order.append(number)
            assert await database.surveying(tenant).value("select $1::int", number) == number

    await asyncio.gather(*map(ask, range(15)))
    assert order == list(range(15))


async def test_more_than_twenty_that_wait_are_refused_and_cost_the_others_nothing(
    database: Database, tenant: WorkspaceId, other: WorkspaceId
) -> None:
    async with locked(database) as let_go:
        asked = [asyncio.create_task(database.survey(WAITS, tenant, n)) for n in range(30)]
        refused = []
        for answer in asyncio.as_completed(asked):
            with pytest.raises(TooManyRequests) as told:
                await answer
            refused.append(told.value.retry_after_s)
            if len(refused) == 30 - surveys.OF_ONE_WORKSPACE - surveys.WAITING:
                break
        assert set(refused) == {5}
        assert await database.survey("select $1::bigint", other)
        let_go.set()
        done = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, list) for one in done) == surveys.OF_ONE_WORKSPACE + surveys.WAITING
    assert await database.survey("select $1::bigint", tenant)


async def test_who_has_a_turn_goes_on_with_it_and_nobody_else_has_it_for_that(
    database: Database, tenant: WorkspaceId, other: WorkspaceId
) -> None:
    async with database.turn_to_survey(tenant), locked(database):
        # The other turns of the workspace are taken, and yet it goes on.
        asked = [
            asyncio.create_task(database.survey(WAITS, tenant, n), context=Context())
            for n in range(surveys.OF_ONE_WORKSPACE)
        ]
        await waiting_for_it(database, surveys.OF_ONE_WORKSPACE - 1)
        assert await database.survey("select $1::bigint", tenant)
        assert await database.surveying(tenant).value("select 1") == 1
        assert await database.survey("select $1::bigint", other)
        assert await database.owned.value(AT_ONCE, LOCK) == surveys.OF_ONE_WORKSPACE - 1
    await asyncio.gather(*asked)


async def test_a_filter_is_not_read_before_its_turn(
    database: Database, tenant: WorkspaceId, other: WorkspaceId
) -> None:
    audiences = Audiences(database)
    for asked in (
        lambda whose, bad: audiences.search(whose, bad, after=0, limit=10),
        lambda whose, bad: audiences.size(whose, bad, Unit.DEVICE),
        lambda whose, bad: audiences.estimate(whose, bad, Unit.DEVICE, within_s=10.0),
        lambda whose, bad: audiences.sample(whose, bad, Unit.DEVICE, limit=10),
        lambda whose, bad: audiences.preview(whose, bad, Unit.DEVICE),
        lambda whose, bad: audiences.apart(whose, bad, within_s=10.0),
        lambda whose, bad: audiences.differing(whose, bad, included=True, after=b"", limit=10),
        lambda whose, bad: audiences.explain(whose, bad, Unit.DEVICE),
    ):
        async with locked(database):
            before = [
                asyncio.create_task(database.survey(WAITS, tenant, n))
                for n in range(surveys.OF_ONE_WORKSPACE)
            ]
            await waiting_for_it(database, surveys.OF_ONE_WORKSPACE)
            reading = asyncio.create_task(asked(tenant, {"no": "filter"}))
            with pytest.raises(BadRequest):
                await asked(other, {"no": "filter"})
            assert not reading.done()
        with pytest.raises(BadRequest):
            await reading
        await asyncio.gather(*before)


async def test_one_who_gives_up_leaves_the_turn_to_the_next(database: Database, tenant: WorkspaceId) -> None:
    async with locked(database):
        asked = [asyncio.create_task(database.survey(WAITS, tenant, n)) for n in range(5)]
        await waiting_for_it(database, 2)
        asked[0].cancel()
        asked[3].cancel()
        await asyncio.wait(asked[:1])
        await waiting_for_it(database, 2)
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(one, list) for one in done] == [False, True, True, False, True]


async def test_what_takes_too_long_says_what_to_narrow_and_leaves_a_connection_that_works(
    database: Database, tenant: WorkspaceId
) -> None:
    async with locked(database):
        for _ in range(surveys.AT_ONCE + 1):
            with pytest.raises(TooSlow, match=r"longer than 0\.05 s: use fewer conditions"):
                await database.surveying(tenant, within_s=0.05).rows(WAITS, tenant, 1)
    assert await database.surveying(tenant).value("select current_setting('statement_timeout')") == "50s"
    assert await database.value("select current_setting('statement_timeout')") == "0"


async def test_surveying_sees_its_workspace_alone_and_cannot_write(
    database: Database, tenant: WorkspaceId, other: WorkspaceId
) -> None:
    asked = "select array_agg(workspace_id) from keys"
    assert set(await database.surveying(tenant).value(asked)) == {tenant}
    assert set(await database.surveying(other).value(asked)) == {other}
    with pytest.raises(Exception, match="read-only"):
        await database.surveying(tenant).rows("delete from people where workspace_id = $1", tenant)


async def test_the_servers_processes_for_surveys_leave_the_processor_to_others_where_they_are_ours(
    database: Database,
) -> None:
    ours = await Database.open(database.url, connections=1, embedded=True)
    try:
        pid = await ours.surveying(1).value("select pg_backend_pid()")
        assert _niceness(pid) == _niceness(await ours.value("select pg_backend_pid()")) + 10
        # Parallel workers are children of the server, and would not have it.
        assert await ours.surveying(1).value("show max_parallel_workers_per_gather") == "0"
        assert await ours.value("show max_parallel_workers_per_gather") != "0"
    finally:
        await ours.close()


def _niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)
