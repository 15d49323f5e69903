"""Databases of their own beside the one that tests share, on the same server."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pushkeeper.store.db import migrate
from pushkeeper.store.db.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_BARE = "template0"


def url_of(database: Database, name: str) -> str:
    """The address of another database on the same server."""
    return urlsplit(database.url)._replace(path=f"/{name}").geturl()


@asynccontextmanager
async def bare_database(database: Database, *, connections: int = 4) -> AsyncIterator[Database]:
    """A database of its own in which there is nothing, not even a schema."""
    async with _copied(database, _BARE, connections) as opened:
        yield opened


@asynccontextmanager
async def own_database(database: Database, *, connections: int = 8) -> AsyncIterator[Database]:
    """A migrated database of its own: users, for instance, belong to the whole installation."""
    template = await _template(database, "pushkeeper_template", _migrate)
    async with _copied(database, template, connections) as opened:
        yield opened


@asynccontextmanager
async def former_database(
    database: Database, *, before: int, connections: int = 4
) -> AsyncIterator[Database]:
    """A database as an older release left it: without this migration and those that followed."""

    async def make(opened: Database) -> None:
        await _migrate_until(opened, before)

    template = await _template(database, f"pushkeeper_before_{before}", make)
    async with _copied(database, template, connections) as opened:
        yield opened


@asynccontextmanager
async def _copied(database: Database, template: str, connections: int) -> AsyncIterator[Database]:
    name = f"own_{secrets.token_hex(8)}"
    await database.owned.value(f"create database {name} template {template}")
    try:
        opened = await Database.open(url_of(database, name), connections=connections)
        try:
            yield opened
        finally:
            await opened.close()
    finally:
        await database.owned.value(f"drop database {name} with (force)")


async def _template(database: Database, name: str, make: Callable[[Database], Awaitable[None]]) -> str:
    """The database that others are copied from, which takes a fraction of the time of making one; made once per server."""
    if not await database.owned.value("select exists (select from pg_database where datname = $1)", name):
        await database.owned.value(f"create database {name} template {_BARE}")
        opened = await Database.open(url_of(database, name), connections=1)
        try:
            await make(opened)
        finally:
            await opened.close()
    return name


async def _migrate(database: Database) -> None:
    await migrate.migrate(database)


async def _migrate_until(database: Database, number: int) -> None:
    await database.owned.value(
        "create table migrations (number int primary key, name text not null, checksum text not null, "
        "applied_at timestamptz not null default now())"
    )
    for one in migrate.migrations():
        if one.number < number:
            await database.owned.value(f"do $do$ begin execute $sql${one.sql}$sql$; end $do$")
            await database.owned.rows(
                "insert into migrations values ($1, $2, $3)", one.number, one.name, one.checksum
            )
    await migrate.make_partitions(database)
