"""A read replica answers as the primary would, with all that was written before; where it cannot, the primary does."""

from __future__ import annotations

import asyncio
import secrets
import signal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import pytest_asyncio

from pushkeeper.errors import Misconfigured, TooSlow, Unreachable
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import replica
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.replica import Primary, Standby, Trouble
from support.databases import own_database
from support.engine import eventually
from support.outages import gone
from support.schemas import side_by_side
from support.standby import answered_by, reading_from, replica_of, server_of, standby_of, stranger_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.driver import Connection
    from support.standby import Server

HALF_WRITTEN = "select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0') % 8192 = 0 and pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()"
THERE = "select pg_is_in_recovery()"
# Takes a minute there, and no time on the primary.
LONG = "select $1::bigint as workspace, pg_is_in_recovery() as there, case when pg_is_in_recovery() then pg_sleep(60) end"
AT_IT = "select count(*) = $1 from pg_stat_activity where query like '%then pg_sleep(60)%' and wait_event = 'PgSleep'"


@pytest_asyncio.fixture(scope="module")
async def primary(database: Database) -> Server:
    return await server_of(database.url)


@pytest_asyncio.fixture(scope="module")
async def standby(primary: Server) -> AsyncIterator[Server]:
    with standby_of(primary) as made:
        await made.set("hot_standby_feedback", "on")
        yield made


@pytest_asyncio.fixture
async def replicated(standby: Server, database: Database) -> AsyncIterator[Database]:
    async with reading_from(standby.url, database) as opened:
        yield opened


@pytest_asyncio.fixture(autouse=True)
async def nothing_left(standby: Server) -> AsyncIterator[None]:
    """What a test asked the standby ends with it: what is replayed next might have to wait for it."""
    yield
    await standby.value(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like '%pg_sleep(60)%' "
        "and pid <> pg_backend_pid()"
    )


async def has_made(standby: Server, database: Database) -> None:
    """Wait until the standby has a database too: on a busy machine it makes its copy for long."""
    name = urlsplit(database.url).path.removeprefix("/")
    there = "select exists (select from pg_database where datname = $1)"
    await eventually(lambda: standby.value(there, name), within_s=180)


async def answered_there(database: Database, tenant: WorkspaceId) -> bool:
    [row] = await database.survey("select $1::bigint, pg_is_in_recovery() as there", tenant)
    return bool(row["there"])


def same_place(standby: Server, database: Database) -> str:
    """The address on the standby of what is a database of the primary."""
    at = urlsplit(database.url)
    return at._replace(query=urlencode({**dict(parse_qsl(at.query)), "host": str(standby.folder)})).geturl()


async def add_person(database: Database, tenant: WorkspaceId) -> None:
    """Written by another connection, as another process would."""
    other = await Database.open(database.url, connections=1)
    try:
        await other.owned.value("insert into people (workspace_id) values ($1)", tenant)
    finally:
        await other.close()


PEOPLE = "select $1::bigint as workspace, count(*) as people, pg_is_in_recovery() as there from people where workspace_id = $1"


async def test_what_is_read_of_much_is_read_there_by_the_same_roles(
    replicated: Database, tenant: WorkspaceId
) -> None:
    other, _ = await workspaces.create(replicated, secrets.token_hex(8))
    before = answered_by("replica")
    roles = "select pg_is_in_recovery() as there, current_user::text as role, array(select workspace_id from keys) as seen"
    asked: list[tuple[Any, str, set[int] | None]] = [
        (replicated.surveying(tenant), "pushkeeper_tenant", {tenant}),
        (replicated.reading(tenant), "pushkeeper_tenant", {tenant}),
        (replicated.reading(), "pushkeeper_jobs", None),
    ]
    for reads, role, seen in asked:
        for found in (
            await reads.row(roles),
            *await reads.rows(roles),
            *await reads.rows_with_custom_plan(roles),
        ):
            assert (found["there"], found["role"]) == (True, role)
            assert set(found["seen"]) == seen if seen else {tenant, other.workspace_id} <= set(found["seen"])
        with pytest.raises(Exception, match="read-only"):
            await reads.rows("delete from people where workspace_id = $1", tenant)
    [row] = await replicated.survey(
        "select $1::bigint, current_user::text as role, pg_is_in_recovery() as there", tenant
    )
    assert (row["role"], row["there"]) == ("pushkeeper_jobs", True)
    assert answered_by("replica") == before + 10
    assert not await replicated.of(tenant).value(THERE)
    assert not await replicated.value(THERE)


async def test_earlier_writes_of_any_process_are_seen(replicated: Database, tenant: WorkspaceId) -> None:
    for people in range(1, 21):
        await add_person(replicated, tenant)
        [row] = await replicated.survey(PEOPLE, tenant)
        assert (row["people"], row["there"]) == (people, True)


async def test_the_half_of_a_record_is_not_waited_for(
    database: Database, standby: Server, tenant: WorkspaceId
) -> None:
    """The log's end is within a record while somebody writes much and has not committed."""
    table = f"own_{secrets.token_hex(8)}"
    await database.owned.value(f"create table {table} as select '' as text")
    written = asyncio.Event()
    asked = asyncio.Event()

    async def write(connection: Connection) -> None:
        await connection.execute(
            f"insert into {table} select repeat(md5(n::text), 30) from generate_series(1, 5000) n"
        )
        written.set()
        await asked.wait()

    async with reading_from(standby.url, database, max_lag_s=5.0) as opened:
        writing = asyncio.create_task(database.owned.in_transaction(write))
        await written.wait()
        await eventually(lambda: database.value(HALF_WRITTEN))
        assert await answered_there(opened, tenant)
        asked.set()
        await writing
    await database.owned.value(f"drop table {table}")


async def test_a_replica_that_is_a_little_behind_is_waited_for(
    replicated: Database, standby: Server, tenant: WorkspaceId
) -> None:
    await standby.pause()
    try:
        await add_person(replicated, tenant)
        asked = asyncio.create_task(replicated.survey(PEOPLE, tenant))
        await asyncio.wait([asked], timeout=0.1)
        assert not asked.done()
    finally:
        await standby.resume()
    [row] = await asked
    assert (row["people"], row["there"]) == (1, True)


async def test_a_replica_that_is_further_behind_is_left_until_it_is_not(
    database: Database, standby: Server, tenant: WorkspaceId
) -> None:
    async with reading_from(standby.url, database, max_lag_s=0.05) as opened:
        await eventually(lambda: answered_there(opened, tenant))
        await standby.pause()
        try:
            await add_person(database, tenant)
            for _ in range(2):
                [row] = await opened.survey(PEOPLE, tenant)
                assert (row["people"], row["there"]) == (1, False)
            assert replica_of(opened).trouble is Trouble.LAGGING
            assert await opened.reading(tenant).value("select count(*) from people") == 1
            assert (replica_of(opened).lag_s or 0) > 0
        finally:
            await standby.resume()
        await eventually(lambda: answered_there(opened, tenant))


async def test_a_replica_that_receives_nothing_is_up_to_date_until_something_is_written(
    database: Database, standby: Server, primary: Server, tenant: WorkspaceId
) -> None:
    async with reading_from(standby.url, database, max_lag_s=0.05) as opened:
        await standby.cut()
        try:
            await add_person(database, tenant)
            [row] = await opened.survey(PEOPLE, tenant)
            assert (row["people"], row["there"]) == (1, False)
            await replica_of(opened).look()
            assert replica_of(opened).trouble is Trouble.LAGGING
            assert (replica_of(opened).lag_s or 0) > 0
        finally:
            await standby.follow(primary)
        await eventually(lambda: answered_there(opened, tenant))


async def test_callers_do_not_notice_that_the_replica_dies_or_freezes(
    database: Database, standby: Server, tenant: WorkspaceId
) -> None:
    async with reading_from(standby.url, database) as opened:
        asked = asyncio.create_task(opened.survey(LONG, tenant))
        await eventually(lambda: standby.value(AT_IT, 1))
        standby.kill()
        [row] = await asked
        assert row["there"] is False
        assert replica_of(opened).trouble is Trouble.AWAY
        assert not await answered_there(opened, tenant)
        standby.start()
        await eventually(lambda: answered_there(opened, tenant))
    async with reading_from(standby.url, database, max_lag_s=0.5) as opened:
        await eventually(lambda: answered_there(opened, tenant))
        standby.signal(signal.SIGSTOP)
        try:
            assert not await answered_there(opened, tenant)
            assert replica_of(opened).trouble is Trouble.AWAY
        finally:
            standby.signal(signal.SIGCONT)
        await eventually(lambda: answered_there(opened, tenant))


async def test_what_is_in_the_way_of_replay_is_asked_again_on_the_primary(
    replicated: Database, standby: Server, tenant: WorkspaceId
) -> None:
    table = f"own_{secrets.token_hex(8)}"
    await replicated.owned.value(f"create table {table} (); ")
    await replicated.owned.value(f"grant select on {table} to pushkeeper_jobs")
    before = answered_by("primary", "failed")
    asked = asyncio.create_task(replicated.survey(f"{LONG}, (select count(*) from {table})", tenant))
    await eventually(lambda: standby.value(AT_IT, 1))
    await standby.set("max_standby_streaming_delay", "0")
    await replicated.owned.value(f"alter table {table} add more int")
    [row] = await asked
    assert row["there"] is False
    assert answered_by("primary", "failed") == before + 1
    assert replica_of(replicated).trouble is None
    await replicated.owned.value(f"drop table {table}")
    await standby.set("max_standby_streaming_delay", "30s")


async def test_one_that_is_cancelled_there_is_asked_again_and_one_that_takes_too_long_is_not(
    replicated: Database, standby: Server, tenant: WorkspaceId
) -> None:
    asked = asyncio.create_task(replicated.survey(LONG, tenant))
    await eventually(lambda: standby.value(AT_IT, 1))
    await standby.value("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")
    [row] = await asked
    assert row["there"] is False
    before = answered_by("primary", "failed")
    with pytest.raises(TooSlow, match=r"longer than 0\.05 s"):
        await replicated.surveying(tenant, within_s=0.05).rows(LONG, tenant)
    assert answered_by("primary", "failed") == before
    assert replica_of(replicated).trouble is None


async def test_an_error_of_the_question_is_the_primarys(replicated: Database, tenant: WorkspaceId) -> None:
    with pytest.raises(Exception, match="division by zero"):
        await replicated.survey("select $1::bigint / 0", tenant)
    assert replica_of(replicated).trouble is None


async def test_when_all_connections_to_it_are_in_use_the_primary_answers(
    replicated: Database, standby: Server, tenant: WorkspaceId
) -> None:
    asked = [
        asyncio.create_task(replicated.reading(tenant).row(LONG, tenant)) for _ in range(replica.AT_ONCE)
    ]
    await eventually(lambda: standby.value(AT_IT, replica.AT_ONCE))
    before = answered_by("primary", "busy")
    assert await replicated.reading(tenant).value(THERE) is False
    assert answered_by("primary", "busy") == before + 1
    for one in asked:
        one.cancel()
    await asyncio.wait(asked)
    assert all(one.cancelled() for one in asked)
    assert await replicated.reading(tenant).value(THERE) is True


@pytest.mark.parametrize(
    "address",
    ["postgresql://postgres@/postgres?host={folder}/nowhere", "postgresql://nobody@/postgres?host={standby}"],
)
async def test_one_that_is_not_there_or_lets_nobody_in_is_left(
    database: Database, standby: Server, folder: Path, tenant: WorkspaceId, address: str
) -> None:
    url = address.format(folder=folder, standby=standby.folder)
    async with reading_from(url, database) as opened:
        assert not await answered_there(opened, tenant)
        assert replica_of(opened).trouble is Trouble.AWAY


@pytest.mark.parametrize("url", ["mysql://u@h/x", "postgresql://u@[::1/x", "postgresql://u@h:many/x"])
async def test_a_malformed_address_is_said_at_the_start_without_its_password(
    database: Database, url: str
) -> None:
    opened = await Database.open(database.url, connections=1)
    try:
        with pytest.raises(Misconfigured, match="replica_url") as told:
            await opened.add_replica(url.replace("u@", "u:hunter2@"), max_lag_s=1)
        assert "hunter2" not in str(told.value)
    finally:
        await opened.close()


async def test_only_a_standby_of_this_primary_on_its_timeline_is_asked(
    database: Database, standby: Server, primary: Server, tenant: WorkspaceId
) -> None:
    with stranger_to(primary) as stranger:
        async with reading_from(stranger.url, database) as opened:
            assert not await answered_there(opened, tenant)
            assert replica_of(opened).trouble is Trouble.OTHER_DATABASE
    with standby_of(primary) as promoted, standby_of(promoted) as follower:
        async with reading_from(promoted.url, database) as opened:
            assert await answered_there(opened, tenant)
            await promoted.promote()
            assert not await answered_there(opened, tenant)
            assert replica_of(opened).trouble is Trouble.NOT_A_STANDBY
        # After a failover: the standby still follows the former primary.
        new_primary = await Database.open(promoted.url, connections=1)
        try:
            async with reading_from(standby.url, new_primary) as opened:
                assert not await answered_there(opened, tenant)
                assert replica_of(opened).trouble is Trouble.OTHER_TIMELINE
            # What followed the new primary all along follows it to its timeline.
            async with reading_from(follower.url, new_primary) as opened:
                await eventually(lambda: answered_there(opened, tenant))
                await add_person(new_primary, tenant)
                [row] = await opened.survey(PEOPLE, tenant)
                assert (row["people"], row["there"]) == (1, True)
        finally:
            await new_primary.close()


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        ({}, None),
        ({"replayed": 0}, None),
        ({"standby": False}, Trouble.NOT_A_STANDBY),
        ({"system_identifier": 2}, Trouble.OTHER_DATABASE),
        ({"database": 2}, Trouble.OTHER_DATABASE),
        ({"workspaces": 2}, Trouble.OTHER_DATABASE),
        ({"workspaces": None}, Trouble.OTHER_DATABASE),
        ({"timeline": 1}, Trouble.OTHER_TIMELINE),
        ({"timeline": 3}, Trouble.OTHER_TIMELINE),
    ],
)
def test_what_is_known_of_a_standby_says_whether_it_is_ours(
    said: dict[str, Any], trouble: Trouble | None
) -> None:
    same = {"system_identifier": 1, "database": 1, "workspaces": 1, "timeline": 2}
    ours = {**same, "standby": True, "replayed": 8, "age_s": 0.0}
    primary = Primary(**same, flushed=8, ends_a_page=False)
    assert Standby(**{**ours, **said}).trouble(primary) is trouble


async def test_another_database_or_schema_of_the_same_server_is_not_asked(
    database: Database, standby: Server, tenant: WorkspaceId
) -> None:
    async with side_by_side(database) as (one, two):
        await has_made(standby, one)
        for asked, at, trouble in (
            (one, one, None),
            (one, two, Trouble.OTHER_DATABASE),
            (database, two, Trouble.OTHER_DATABASE),
            (one, database, Trouble.OTHER_DATABASE),
        ):
            async with reading_from(same_place(standby, at), asked) as opened:
                assert await answered_there(opened, tenant) is (trouble is None)
                assert replica_of(opened).trouble is trouble


async def test_without_its_primary_it_answers_nothing(
    database: Database, standby: Server, tenant: WorkspaceId
) -> None:
    """Nobody can say what it ought to have."""
    async with own_database(database) as own:
        await has_made(standby, own)
        async with reading_from(same_place(standby, own), own) as opened:
            await eventually(lambda: opened.reading(tenant).value(THERE))
            async with gone(own, database):
                with pytest.raises(Unreachable):
                    await opened.reading(tenant).value(THERE)
                assert replica_of(opened).trouble is Trouble.PRIMARY_AWAY
            await eventually(lambda: opened.reading(tenant).value(THERE))
