"""The store, opened: what all else is built on."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pushkeeper.core.delivery.delivery_id import DeliveryIds
from pushkeeper.core.identifier_hash import IdentifierHashes
from pushkeeper.errors import Misconfigured, Unreachable
from pushkeeper.observability.logs import logger
from pushkeeper.rendering.renderer import Renderer
from pushkeeper.services.services import Services
from pushkeeper.store.admin import diagnostics, vault
from pushkeeper.store.db import cells, connection_budget, migrate, opening, server_checks
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.embedded import EmbeddedPostgres, programs, serving_alone
from pushkeeper.wiring.checks import CHECKS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pushkeeper.config import Settings
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.migrate import Migration


T = TypeVar("T")
log = logger("start")

_AGAIN_S = 1.0
_SAID_EVERY_S = 30.0
_DRAIN_S = 10.0  # a commit that the database answers at all is answered by then


@dataclass(frozen=True, slots=True)
class Store:
    """An open, migrated database, what renders messages, and the services on both.

    `embedded` is the server that runs in our data folder, if it does; `applied` are the migrations just applied; `cell` is
    which of several databases behind one address this is.
    """

    database: Database
    vault: Vault
    embedded: EmbeddedPostgres | None
    applied: tuple[Migration, ...]
    cell: int = 0
    renderer: Renderer = field(default_factory=Renderer)
    services: Services = field(init=False)

    @property
    def latest(self) -> int:
        """The number of the last migration that there is."""
        return migrate.migrations()[-1].number

    def __post_init__(self) -> None:
        services = Services.on(self.database, self.vault, self.renderer, CHECKS)
        object.__setattr__(self, "services", services)


def require_database(settings: Settings) -> None:
    """Refuse a data folder in which no service has run: to look at it must not make a database there.

    Raises:
        Misconfigured: there is no database in it, and no URL of one.
    """
    folder = settings.data_dir
    if settings.database_url is None and not (folder / "postgres" / "PG_VERSION").exists():
        raise Misconfigured(
            f"data folder: no service has run in {folder} yet. Run `pushkeeper serve` to create it, or name the right "
            "folder with --data or PUSHKEEPER_DATA_DIR"
        )


@asynccontextmanager
async def store(
    settings: Settings,
    *,
    connections: int = 4,
    migrating: bool = True,
    on_wait: Callable[[str], None] | None = None,
) -> AsyncIterator[Store]:
    """Open the store, starting the embedded PostgreSQL where no database URL is set.

    Unless it is told not to, it brings the schema up to date. With `on_wait` it waits for a database that does not
    respond yet, or is still a standby, and reports by it what it waits for, without the address.

    Raises:
        Misconfigured: the data folder, the secret key or the database cannot be used.
        Unreachable: the database URL does not answer, or that of a standby.
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
        say = on_wait or (lambda _: None)

        async def open_one() -> tuple[Database, list[Migration]]:
            return await _opened(
                await Database.open(
                    url,
                    connections=connections,
                    statement_cache_size=settings.statement_cache_size,
                    delivery_ids=DeliveryIds(opened.key_for("delivery ids")),
                    embedded=embedded is not None,
                ),
                IdentifierHashes(opened.key_for("identifiers")),
                say if migrating else None,
            )

        database, applied = await (_waited_for(open_one, say) if on_wait else open_one())
        try:
            if settings.replica_url is not None:
                await database.add_replica(settings.replica_url, max_lag_s=settings.replica_max_lag_s)
            async with aclosing(Renderer()) as renderer:
                made = Store(database, opened, embedded, tuple(applied), await cells.of(database), renderer)
                try:
                    yield made
                finally:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_DRAIN_S):
                            await made.services.drain()
        finally:
            await database.close()
    finally:
        if embedded is not None:
            await asyncio.to_thread(embedded.stop)


async def _opened(
    database: Database, hashes: IdentifierHashes, migrating: Callable[[str], None] | None
) -> tuple[Database, list[Migration]]:
    """With the schema up to date, unless `migrating` is None; it is called when that begins."""
    try:
        database.hashes = hashes
        if migrating is None:
            return database, []
        await server_checks.require_primary(database)
        migrating("the database's schema is being brought up to date")
        return database, await migrate.migrate(database)
    except BaseException:
        await database.close()
        raise


async def _waited_for(open_one: Callable[[], Awaitable[T]], say: Callable[[str], None]) -> T:
    said_at = -inf
    while True:
        try:
            return await open_one()
        except Unreachable as error:
            say(opening.without_address(error))
            if time.monotonic() - said_at >= _SAID_EVERY_S:
                said_at = time.monotonic()
                log.warning("start_waits_for_the_database", reason=error.message)
        await asyncio.sleep(_AGAIN_S)


async def _started(embedded: EmbeddedPostgres) -> str:
    """Start the server and finish: stopping in between would leave behind a thread that continues the start."""
    starting = asyncio.get_running_loop().run_in_executor(None, embedded.start)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(Misconfigured):
            await starting
        raise


def only_server(settings: Settings) -> AbstractContextManager[None]:
    """One `serve` a data folder; on a database of its own, any number may share it.

    Raises:
        Conflict: another `serve` has it.
    """
    return nullcontext() if settings.database_url is not None else serving_alone(settings.data_dir)


@contextmanager
def postgres(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The database's address, and where the programs that come along are; the embedded server runs meanwhile."""
    if settings.database_url is not None:
        yield settings.database_url, programs()
        return
    server = EmbeddedPostgres(settings.data_dir)
    try:
        yield server.start(), programs()
    finally:
        server.stop()


async def fitted(settings: Settings, database: Database) -> Settings:
    """The settings with no more connections for each process than the server has for all; of a pooler that is not known.

    Raises:
        Misconfigured: it has too few for so many processes.
    """
    if database.is_pooled:
        return settings
    found = connection_budget.fitted(settings, await diagnostics.connections_limit(database))
    if found != settings:
        log.warning(
            "fewer_connections_than_set",
            database_connections=found.database_connections,
            worker_connections=found.worker_connections,
        )
    return found


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
