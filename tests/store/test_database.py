"""The database's border: addresses, errors in our words, transactions that are tried again, notifications."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import asyncpg
import pytest

from pushkeeper.errors import Misconfigured, Unreachable
from pushkeeper.store.db.connections import where
from pushkeeper.store.db.database import Database, columns, storable
from pushkeeper.store.db.listening import LISTENING

if TYPE_CHECKING:
    from pushkeeper.store.db.driver import Connection

PASSWORD = "a-password-that-nobody-may-read"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "mysql://user@localhost/app",
        f"http://user:{PASSWORD}@localhost/app",
        f"postgresql://user:{PASSWORD}@localhost:notaport/app",
        f"postgresql://user:{PASSWORD}@[::1/app",
        f"postgresql://user:{PASSWORD}@localhost/app?sslmode=perhaps",
    ],
)
async def test_a_malformed_address_is_a_setting_to_fix(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"^database URL: ") as said:
        await Database.open(url)
    assert PASSWORD not in said.value.message


async def test_an_address_at_which_nothing_answers_is_unreachable() -> None:
    with socket.socket() as taken:  # bound, but not listening: nobody else gets the port, and it refuses
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Unreachable, match=f"127.0.0.1:{port}/app") as said:
            await Database.open(f"postgresql://user:{PASSWORD}@127.0.0.1:{port}/app")
    assert PASSWORD not in said.value.message
    assert "user" not in said.value.message


async def test_a_host_that_has_no_address_is_unreachable() -> None:
    with pytest.raises(Unreachable, match=r"nobody\.invalid"):
        await Database.open(f"postgresql://user:{PASSWORD}@nobody.invalid/app")


async def test_a_missing_database_is_a_setting_to_fix(database: Database) -> None:
    with pytest.raises(Misconfigured, match="no-such-database"):
        await Database.open(database.url.replace("/postgres?", "/no-such-database?"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://user:{PASSWORD}@example.com:6432/app", "example.com:6432/app"),
        ("postgresql://example.com", "example.com:5432"),
        (f"postgresql://user:{PASSWORD}@[::1:6432/app", "that address"),
        (f"postgresql://user:{PASSWORD}@/app?host=/a/socket", "/a/socket:5432/app"),
        (f"postgresql://user@/app?host=/a/socket&password={PASSWORD}", "/a/socket:5432/app"),
    ],
)
def test_an_address_is_shown_without_user_and_password(url: str, shown: str) -> None:
    assert shown in where(url)
    assert PASSWORD not in where(url)
    assert "user" not in where(url)


async def test_a_server_that_goes_away_is_unreachable_and_one_that_is_back_is_reached(
    database: Database,
) -> None:
    here = await Database.open(database.url, connections=1)
    pid = await here.value("select pg_backend_pid()")
    sleeping = asyncio.create_task(here.value("select pg_sleep(60)"))
    await asyncio.sleep(0)  # the query is on its way
    assert await database.owned.value("select pg_terminate_backend($1, 5000)", pid)
    with pytest.raises(Unreachable):
        await sleeping
    assert await here.value("select 1") == 1
    await here.close()


async def test_a_closed_database_is_unreachable(database: Database) -> None:
    here = await Database.open(database.url, connections=1)
    await here.close()
    with pytest.raises(Unreachable):
        await here.value("select 1")


async def test_what_is_json_in_python_is_json_in_a_row(database: Database) -> None:
    value = {"text": "ü\u2028", "list": [1, 2.5, None, True], "nested": {"a": {}}}
    assert await database.value("select $1::jsonb", value) == value


async def test_a_transaction_that_fails_leaves_nothing(database: Database, tenant: int) -> None:
    async def work(connection: Connection) -> None:
        await connection.execute("update workspaces set name = 'changed' where workspace_id = $1", tenant)
        raise LookupError("in the middle of it")

    with pytest.raises(LookupError):
        await database.in_transaction(work)
    assert await database.value("select name from workspaces where workspace_id = $1", tenant) != "changed"


async def test_two_transactions_that_deadlock_are_both_done_in_the_end(
    database: Database, tenant: int
) -> None:
    await database.owned.value("create table if not exists deadlocks (number int primary key, times int)")
    await database.owned.value("grant all on deadlocks to public")
    await database.value(
        "insert into deadlocks values (1, 0), (2, 0) on conflict (number) do update set times = 0"
    )
    both = asyncio.Barrier(2)
    tries = {"forth": 0, "back": 0}

    async def go(way: str, order: tuple[int, int]) -> None:
        async def work(connection: Connection) -> None:
            tries[way] += 1
            await connection.execute("update deadlocks set times = times + 1 where number = $1", order[0])
            if tries[way] == 1:
                await both.wait()
            await connection.execute("update deadlocks set times = times + 1 where number = $1", order[1])

        await database.in_transaction(work)

    await asyncio.gather(go("forth", (1, 2)), go("back", (2, 1)))
    rows = await database.rows("select times from deadlocks order by number")
    assert [row["times"] for row in rows] == [2, 2]
    assert max(tries.values()) > 1
    await database.owned.value("drop table deadlocks")


async def test_a_transaction_that_loses_every_race_says_that_the_database_is_too_busy(
    database: Database,
) -> None:
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        raise asyncpg.SerializationError

    with pytest.raises(Unreachable, match="too busy"):
        await database.in_transaction(work)
    assert tries == 5


async def test_a_notification_is_heard_and_a_lost_connection_is_told(database: Database) -> None:
    heard = asyncio.Event()
    said = []

    def hear(what: str) -> None:
        said.append(what)
        heard.set()

    async with database.listening(
        [("another", lambda _: heard.clear()), ("a_channel", said.append), ("a_channel", hear)]
    ) as lost:
        await database.value("select pg_notify('a_channel', 'what it says')")
        await asyncio.wait_for(heard.wait(), 10)
        assert said == ["what it says"] * 2
        assert not lost.is_set()
        await database.owned.value(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", LISTENING
        )
        await asyncio.wait_for(lost.wait(), 10)


def test_columns_of_no_rows_are_as_many_as_asked_for() -> None:
    assert columns([], 3) == [[], [], []]
    assert columns([(1, "a"), (2, "b")], 2) == [[1, 2], ["a", "b"]]


@pytest.mark.parametrize(("version", "is_refused"), [(140_023, True), (150_000, False), (190_000, False)])
async def test_a_server_older_than_15_is_refused_and_a_newer_one_than_we_know_is_not(
    database: Database, version: int, *, is_refused: bool
) -> None:
    if version > 160_000 > await database.value("select current_setting('server_version_num')::int"):
        pytest.skip("it would be asked for what came with 16")
    schema = f"says_{version}"  # before pg_catalog in the search path
    await database.owned.value(f"create schema {schema}")
    await database.owned.value(
        f"create function {schema}.current_setting(name text) returns text language sql as $$ "
        f"select case name when 'server_version_num' then '{version}' else pg_catalog.current_setting(name) end $$"
    )
    await database.owned.value(f"grant usage on schema {schema} to public")
    url = f"{database.url}&options=-csearch_path%3D{schema},pg_catalog,public"
    try:
        if is_refused:
            with pytest.raises(Misconfigured, match="PostgreSQL 15 or newer is needed"):
                await Database.open(url)
        else:
            await (await Database.open(url)).close()
    finally:
        await database.owned.value(f"drop schema {schema} cascade")


@pytest.mark.parametrize(
    ("text", "stored"), [("as it is: ü", "as it is: ü"), ("a\0b", "ab"), ("a\ud800b", "a?b")]
)
async def test_somebody_elses_text_can_be_stored(database: Database, text: str, stored: str) -> None:
    assert storable(text) == stored
    assert await database.value("select $1::text", storable(text)) == stored


async def test_whatever_the_driver_says_of_a_connection_that_the_server_ends_we_say_unreachable(
    database_url: str,
) -> None:
    administrator = await Database.open(database_url, connections=1)
    await administrator.owned.value("create database ended")
    database = await Database.open(database_url.replace("/postgres?", "/ended?"), connections=16)
    ended = asyncio.Event()
    cut_off = asyncio.Event()

    async def work(connection: Connection) -> object:
        await connection.fetchval("select 1")
        return await connection.fetchval("select 2")

    async def ask() -> None:
        while not ended.is_set():
            try:
                await database.in_transaction(work)
            except Unreachable:
                cut_off.set()

    async def end_connections() -> None:
        # The first try may find none in use, while all are being reopened: then nobody gets an error.
        while not cut_off.is_set():
            await administrator.owned.rows(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'ended'"
            )

    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(ask())
        for _ in range(100):
            await asyncio.wait_for(end_connections(), 10)
            cut_off.clear()
        ended.set()
    await database.close()
    await administrator.close()
