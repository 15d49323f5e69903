"""Connections: how the hosts of an address are tried, how the wire is watched, and what a change of hosts does."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

import pushkeeper
from pushkeeper.errors import Unreachable
from pushkeeper.store.db import connections, listening
from pushkeeper.store.db.connections import Connector, Host, hosts_of
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.listening import LISTENING
from support.databases import own_database
from support.wire import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.wire import Wire

SAFETY_S = 60.0


@pytest_asyncio.fixture
async def own(database: Database) -> AsyncIterator[Database]:
    async with own_database(database) as made:
        yield made


@pytest_asyncio.fixture
async def through(database: Database) -> AsyncIterator[tuple[Database, Wire]]:
    """The database behind a wire of ours, and that."""
    async with wire(database.url) as between:
        behind = await Database.open(between.url)
        yield behind, between
        between.repair()
        await behind.close()


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://example.com/app", [("example.com", 5432)]),
        ("postgresql://user:p%40ss@one:1,two,[::1]:3/app", [("one", 1), ("two", 5432), ("::1", 3)]),
        ("postgresql://user@/app?host=/a/socket", [("/a/socket", 5432)]),
        ("postgresql:///app?host=one,/b:c&port=1,2", [("one", 1), ("/b:c", 2)]),
        ("postgresql:///app?host=one:7,two&port=5", [("one", 7), ("two", 5)]),
        ("postgresql://%2Fa%2Fsocket/app", [("/a/socket", 5432)]),
        ("postgresql:///app", []),
    ],
)
def test_the_hosts_of_an_address_are_those_that_the_driver_reads(
    monkeypatch: pytest.MonkeyPatch, url: str, hosts: list[tuple[str, int]]
) -> None:
    for name in ("PGHOST", "PGPORT"):
        monkeypatch.delenv(name, raising=False)
    assert hosts_of(url) == [Host(*host) for host in hosts]


def test_the_hosts_of_the_environment_are_tried_one_by_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "one,two")
    monkeypatch.setenv("PGPORT", "1,2")
    assert hosts_of("postgresql:///app") == [Host("one", 1), Host("two", 2)]


def test_connections_and_pools_are_made_in_one_place_alone() -> None:
    made = re.compile(r"asyncpg\.(connect|create_pool|Pool)\(")
    source = Path(pushkeeper.__file__).parent
    makers = {file.name for file in source.rglob("*.py") if made.search(file.read_text(encoding="utf-8"))}
    assert makers == {"connections.py", "pools.py"}


def _connector(url: str) -> Connector:
    async def nothing() -> None: ...

    return Connector(url, statement_cache_size=0, on_move=nothing, session="read-write")


@asynccontextmanager
async def _silent_host() -> AsyncIterator[int]:
    """A host that takes connections and never says a word; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def _beside(url: str, host: str) -> str:
    """The address with another host before its own."""
    return url.replace("host=", f"host={host},")


async def test_a_host_that_hangs_is_waited_for_once_and_then_tried_last(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECT_S", 0.3)
    async with _silent_host() as port:
        connector = _connector(_beside(database.url, f"127.0.0.1:{port}"))
        tried = [await connector() for _ in range(3)]
        assert {made.host.name.startswith("/") for made in tried if made.host} == {True}
        assert [str(host) for host in connector._hosts[1:]] == [f"127.0.0.1:{port}"]
        for made in tried:
            await made.close()


async def test_after_a_timeout_of_a_host_the_next_one_is_tried_first(database: Database) -> None:
    async with _silent_host() as port:
        connector = _connector(_beside(database.url, f"127.0.0.1:{port}"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connector(), 0.1)
        made = await asyncio.wait_for(connector(), connections.CONNECT_S)
        await made.close()


async def test_a_refusing_host_costs_nothing(database: Database) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        other = await Database.open(_beside(database.url, f"127.0.0.1:{taken.getsockname()[1]}"))
        assert await other.value("select 1") == 1
        await other.close()


async def test_of_several_hosts_only_one_that_takes_writes_is_used(database: Database, own: Database) -> None:
    name = await own.value("select current_database()")
    await database.owned.value(f"alter database {name} set default_transaction_read_only = on")
    with pytest.raises(Unreachable, match="takes writes"):
        await Database.open(_beside(own.url, "/nowhere"))
    await database.owned.value(f"alter database {name} reset default_transaction_read_only")
    other = await Database.open(_beside(own.url, "/nowhere"))
    await other.close()


async def test_the_kernel_watches_the_wire_and_so_does_the_server(through: tuple[Database, Wire]) -> None:
    behind, _ = through
    async with behind._pool.acquire() as connection:
        held = connection._con._transport.get_extra_info("socket")
        with socket.socket(fileno=socket.dup(held.fileno())) as seen:
            assert seen.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert seen.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
            assert seen.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        settings = {
            row["name"]: row["setting"]
            for row in await connection.fetch(
                "select name, reset_val as setting from pg_settings "
                "where name like 'tcp%' or name in ('jit', 'client_connection_check_interval')"
            )
        }
    assert settings["jit"] == "off"
    assert settings["tcp_user_timeout"] == "10000"
    assert settings["client_connection_check_interval"] == "5000"


async def test_the_server_ends_a_statement_that_nobody_waits_for(database: Database) -> None:
    left = await Database.open(database.url)
    waiting = asyncio.create_task(left.value("select pg_sleep(601)"))
    pid = None
    while pid is None:
        await asyncio.sleep(0)
        pid = await database.owned.value(
            "select pid from pg_stat_activity where state = 'active' and query = 'select pg_sleep(601)'"
        )
    await left.close()
    with pytest.raises(Unreachable):
        await waiting
    await _until_gone(database, [pid])


async def test_a_listener_whose_wire_is_cut_without_a_word_notices_and_hears_again(
    through: tuple[Database, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    behind, between = through
    heard = asyncio.Event()
    async with asyncio.timeout(SAFETY_S):
        with monkeypatch.context() as patched:
            patched.setattr(listening, "BEAT_S", 0.05)
            patched.setattr(listening, "HEARD_WITHIN_S", 1.0)
            async with behind.listening([("news", lambda _: heard.set())]) as lost:
                between.cut()
                await lost.wait()
        between.repair()
        async with behind.listening([("news", lambda _: heard.set())]):
            await behind.value("select pg_notify('news', '')")
            await heard.wait()


async def test_a_cut_wire_ends_its_waits_and_a_repaired_one_is_used_again(
    through: tuple[Database, Wire],
) -> None:
    behind, between = through
    async with asyncio.timeout(SAFETY_S):
        assert await behind.value("select 1") == 1
        between.cut()
        answers = await asyncio.gather(*(behind.value("select 1") for _ in range(50)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {Unreachable}
        between.repair()
        while True:
            with suppress(Unreachable):
                assert await behind.value("select 1") == 1
                break
            await asyncio.sleep(0.01)


async def _until_gone(database: Database, pids: list[int]) -> None:
    async with asyncio.timeout(SAFETY_S):
        while await database.owned.value("select count(*) from pg_stat_activity where pid = any($1)", pids):
            pass


async def test_when_another_host_answers_those_of_the_former_are_left_idle_or_not(
    database: Database,
) -> None:
    async with wire(database.url) as one, wire(database.url) as two, asyncio.timeout(SAFETY_S):
        behind = await Database.open(f"{one.url},127.0.0.1:{two.port}", connections=4)
        async with AsyncExitStack() as stack:
            pids = [
                (await stack.enter_async_context(behind._pool.acquire())).get_server_pid() for _ in range(3)
            ]
        waiting = asyncio.create_task(behind.value("select pg_sleep(600)"))
        async with behind.listening([]) as lost:
            one.refuse()
            await behind._pools.open_again()
            assert await behind.value("select 1") == 1
            await lost.wait()
        with pytest.raises(Unreachable):
            await waiting
        await _until_gone(database, pids)
        await behind.close()


async def test_on_a_server_that_became_read_only_idle_connections_are_left_at_once(
    database: Database, own: Database
) -> None:
    name = await own.value("select current_database()")
    await database.owned.value(f"alter database {name} set default_transaction_read_only = on")
    await own._pools.open_again()
    async with own._pool.acquire() as one, own._pool.acquire() as two:
        idle = [one.get_server_pid(), two.get_server_pid()]
    with pytest.raises(Unreachable, match="read-only"):
        await own.owned.value("create table t ()")
    await _until_gone(database, idle)
    await database.owned.value(f"alter database {name} reset default_transaction_read_only")
    await own._pools.open_again()
    await own.owned.value("create table t ()")


async def test_a_listener_is_named_where_an_administrator_looks(database: Database) -> None:
    async with database.listening([]):
        found = await database.owned.value(
            "select count(*) from pg_stat_activity where application_name = $1", LISTENING
        )
    assert found == 1
