"""The store, opened: what all else is built on."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pushkeeper.core.delivery_id import DeliveryIds
from pushkeeper.core.identifier_hash import IdentifierHashes
from pushkeeper.errors import Misconfigured
from pushkeeper.rendering.renderer import Renderer
from pushkeeper.store import cells, migrate, vault
from pushkeeper.store.database import Database
from pushkeeper.store.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.config import Settings
    from pushkeeper.store.vault import Vault


@dataclass(frozen=True, slots=True)
class Store:
    """An open, migrated database, and what renders messages.

    `embedded` is the server that runs in our data folder, if it does; `applied` are the migrations just applied; `cell` is
    which of several databases behind one address this is.
    """

    database: Database
    vault: Vault
    embedded: EmbeddedPostgres | None
    applied: tuple[int, ...]
    cell: int = 0
    renderer: Renderer = field(default_factory=Renderer)


@asynccontextmanager
async def store(settings: Settings, *, connections: int = 4, migrating: bool = True) -> AsyncIterator[Store]:
    """Open the store, starting the embedded PostgreSQL where no database URL is set.

    Unless it is told not to, it brings the schema up to date.

    Raises:
        Misconfigured: the data folder, the secret key or the database cannot be used.
        Unreachable: the database URL does not answer.
    """
    embedded = EmbeddedPostgres(settings.data_dir) if settings.database_url is None else None
    url = settings.database_url or ""
    try:
        if embedded is not None:
            url = await _started(embedded)
        key = (
            vault.key_of_folder(settings.data_dir)
            if settings.secret_key is None
            else vault.read_key(settings.secret_key.value.decode())
        )
        opened = vault.Vault(key)
        database = await Database.open(
            url,
            connections=connections,
            delivery_ids=DeliveryIds(opened.key_for("delivery ids")),
            embedded=embedded is not None,
        )
        database.hashes = IdentifierHashes(opened.key_for("identifiers"))
        try:
            if settings.replica_url is not None:
                await database.add_replica(settings.replica_url, max_lag_s=settings.replica_max_lag_s)
            applied = await migrate.migrate(database) if migrating else []
            async with aclosing(Renderer()) as renderer:
                numbers = tuple(migration.number for migration in applied)
                yield Store(database, opened, embedded, numbers, await cells.of(database), renderer)
        finally:
            await database.close()
    finally:
        if embedded is not None:
            await asyncio.to_thread(embedded.stop)


async def _started(embedded: EmbeddedPostgres) -> str:
    """Start the server, to its end: whoever is stopped meanwhile would leave behind what a thread goes on to start."""
    starting = asyncio.get_running_loop().run_in_executor(None, embedded.start)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(Misconfigured):
            await starting
        raise


def shown_url(opened: Store) -> str:
    """The database's address without its passwords."""
    parts = urlsplit(opened.database.url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    said = parse_qsl(parts.query, keep_blank_values=True)
    query = [(key, "…" if key in {"password", "sslpassword"} else value) for key, value in said]
    if not colon and query == said:
        return opened.database.url
    shown = f"{name}:…" if colon else user
    return urlunsplit(parts._replace(netloc=f"{shown}{at}{host}", query=urlencode(query, safe="…/")))
