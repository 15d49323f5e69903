"""Checkup: what an examination asks of the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.store.db.driver_errors import ReadOnly
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import date, datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """PostgreSQL's settings, verbatim, and its load."""

    version: str
    number: int
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    autovacuum: str
    encoding: str
    isolation: str
    connections_limit: int
    connections: int
    standby: bool
    size_bytes: int
    oldest_transaction_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAlert:
    """Alerts, and how often each occurred."""

    route_id: int
    reason: str
    alert: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingHook:
    """A webhook whose endpoint does not take what it is sent."""

    workspace: str
    webhook_id: int
    name: str
    disabled: bool
    failing_since: datetime
    failure: str | None
    waiting: int


async def server(database: Database) -> Server:
    """How the server is set, and how busy it is."""
    row = await database.owned.row(SQL["server"])
    assert row is not None  # noqa: S101 - the query has a row
    return Server(**row)


async def connections_limit(database: Database) -> int:
    """How many connections the server has for us and others like us."""
    limit: int = await database.value(SQL["connections"])
    return limit


async def write(database: Database) -> None:
    """See that a write goes through.

    Raises:
        Unreachable: it does not, and why.
    """

    async def work(connection: Connection) -> bool:
        await connection.execute(SQL["little_memory"])
        row = await connection.fetchrow(SQL["write"])
        assert row is not None  # noqa: S101 - the query has a row
        return bool(row["read_only"])

    if await database.in_transaction(work):
        raise ReadOnly("the database is read-only", retry_after_s=5)


async def clock(database: Database) -> datetime:
    """The database's clock."""
    found: datetime = await database.value(SQL["clock"])
    return found


async def today(database: Database) -> date:
    """The day by the database's clock, in UTC."""
    found: date = await database.value(SQL["today"])
    return found


async def credentials(database: Database) -> list[tuple[WorkspaceId, int, str]]:
    """Every credential's workspace and id, with the name of its workspace."""
    rows = await database.rows(SQL["credentials"])
    return [(row["workspace_id"], row["credential_id"], row["workspace"]) for row in rows]


async def alerts(database: Database) -> list[RouteAlert]:
    """Alerts of the last day, newest first."""
    return [RouteAlert(**row) for row in await database.rows(SQL["alerts"])]


async def failing_hooks(database: Database) -> list[FailingHook]:
    """Webhooks that fail, or were disabled."""
    return [FailingHook(**row) for row in await database.rows(SQL["webhooks"])]
