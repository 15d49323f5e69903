"""What keeps a database from answering now: read-only, locked, or gone; each for one database of a server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pushkeeper.store.db.database import Database

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
async def locked(database: Database, administrator: Database) -> AsyncIterator[None]:
    """Somebody has every table, and nobody waits for long."""
    holder = await Database.open(database.url, connections=1)
    rows = await holder.owned.rows(
        "select format('%I', relname) as name from pg_class where relnamespace = 'public'::regnamespace "
        "and relkind in ('r', 'p') and not relispartition"
    )
    tables = ", ".join(row["name"] for row in rows)
    try:
        async with set_to(database, administrator, "lock_timeout", "3"), holder.owned._together() as held:
            await held.execute(f"lock table {tables} in access exclusive mode")
            yield
    finally:
        await holder.close()


@asynccontextmanager
async def gone(database: Database, administrator: Database) -> AsyncIterator[None]:
    """Nobody is let in, and whoever was in is out."""
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
