"""What keeps a database from answering now: read-only, locked, or gone; each for one database of a server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pushkeeper.store.db.database import Database
from support.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def _name(database: Database) -> str:
    name: str = await database.value("select current_database()")
    assert name.startswith("own_"), "others use it too"
    return name


@asynccontextmanager
async def set_to(
    database: Database, administrator: Database, setting: str, value: str
) -> AsyncIterator[None]:
    """A setting, as connections that are made from now on have it."""
    name = await _name(database)
    await administrator.owned.value(f"alter database {name} set {setting} = {value}")
    await database._pool.expire_connections()
    try:
        yield
    finally:
        await administrator.owned.value(f"alter database {name} reset {setting}")
        await database._pool.expire_connections()


@asynccontextmanager
async def read_only(database: Database, administrator: Database) -> AsyncIterator[None]:
    async with set_to(database, administrator, "default_transaction_read_only", "on"):
        yield


@asynccontextmanager
async def _every_table_held(database: Database) -> AsyncIterator[None]:
    holder = await Database.open(database.url, connections=1)
    rows = await holder.owned.rows(
        "select format('%I', relname) as name from pg_class where relnamespace = 'public'::regnamespace "
        "and relkind in ('r', 'p') and not relispartition"
    )
    tables = ", ".join(row["name"] for row in rows)
    try:
        async with holder.owned._together() as held:
            await held.execute(f"lock table {tables} in access exclusive mode")
            yield
    finally:
        await holder.close()


@asynccontextmanager
async def locked(database: Database, administrator: Database) -> AsyncIterator[None]:
    """Somebody has every table, and nobody waits for long."""
    async with set_to(database, administrator, "lock_timeout", "3"), _every_table_held(database):
        yield


@asynccontextmanager
async def locked_for_good(database: Database, administrator: Database) -> AsyncIterator[None]:
    """Somebody has every table, and who waits for one is told nothing."""
    del administrator
    async with _every_table_held(database):
        yield


@asynccontextmanager
async def silent(database: Database, administrator: Database) -> AsyncIterator[None]:
    """Every process of the server stands still, and the kernel takes what is sent to it."""
    del database
    with frozen(Path(await administrator.owned.value("show data_directory"))):
        yield


@asynccontextmanager
async def unsynced(database: Database, administrator: Database) -> AsyncIterator[None]:
    """The server answers, but what is committed waits for a standby that is not there."""
    del database
    await _wait_for_standby(administrator, "set synchronous_standby_names = 'nobody'", "nobody")
    try:
        yield
    finally:
        await _wait_for_standby(administrator, "reset synchronous_standby_names", "")


async def _wait_for_standby(administrator: Database, change: str, expected: str) -> None:
    await administrator.owned.rows(f"alter system {change}")
    await administrator.owned.rows("select pg_reload_conf()")
    while await administrator.owned.value("show synchronous_standby_names") != expected:
        pass


@asynccontextmanager
async def gone(database: Database, administrator: Database) -> AsyncIterator[None]:
    """No new connections, and existing ones are closed."""
    name = await _name(database)
    await administrator.owned.value(f"alter database {name} allow_connections false")
    try:
        await administrator.owned.rows(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1", name
        )
        yield
    finally:
        await administrator.owned.value(f"alter database {name} allow_connections true")


OUTAGES = (read_only, locked, gone)
# Outages without errors: callers get no response at all, or none to writes.
UNANSWERED = (silent, locked_for_good, unsynced)
