"""Opening a database: what is wrong with its address, for whoever set it, and what its server has to be able to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from pushkeeper.errors import Misconfigured, PushkeeperError, Unreachable
from pushkeeper.store.db.connections import where
from pushkeeper.store.db.driver_errors import ReadOnly
from pushkeeper.store.db.listening import NotHeard
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)

_NOT_LETTING_US_IN = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)


def refusal(error: Exception, url: str) -> PushkeeperError | None:
    """What an error of the first questions says of the address; None where it says nothing of that."""
    cause = error.__cause__ if isinstance(error, Unreachable) else error
    if isinstance(cause, _NOT_LETTING_US_IN):
        return Misconfigured(f"database URL: PostgreSQL at {where(url)} refuses: {cause}")
    if isinstance(cause, ValueError | asyncpg.InterfaceError):
        return malformed(url)
    if isinstance(error, ReadOnly):
        return ReadOnly(f"database URL: no PostgreSQL that takes writes answers at {where(url)}")
    if isinstance(error, Unreachable):
        return Unreachable(f"database URL: no PostgreSQL answers at {where(url)}")
    return None


def malformed(url: str) -> Misconfigured:
    return Misconfigured(f"database URL: {where(url)} is not usable: malformed address")


def without_address(error: Unreachable) -> str:
    """Why a database cannot be opened now, for those who are not to know where it is."""
    if isinstance(error, ReadOnly):
        return "the database takes no writes: it is a standby, or read-only"
    if isinstance(error.__cause__, Unreachable):
        return error.__cause__.message
    return "the database does not answer"


async def require_primary(database: Database) -> None:
    """See that the server may write.

    Raises:
        Unreachable: it is a standby.
    """
    if await database.value(SQL["standby"]):
        raise ReadOnly(
            f"database URL: PostgreSQL at {where(database.url)} is a standby: nothing can be written; point it at the primary",
            retry_after_s=5,
        )


async def require_notifications(database: Database) -> None:
    """See that what is notified arrives, as a worker needs it.

    Raises:
        Misconfigured: it does not: the address is that of a pooler.
    """
    if not database.is_pooled:
        return
    try:
        async with database.listening([]):
            pass
    except NotHeard as error:
        raise Misconfigured(
            f"database URL: {where(database.url)} is a pooler of transactions (PgBouncer), through which notifications do not "
            "arrive; give workers the address of PostgreSQL itself, and run `serve --no-worker` through the pooler"
        ) from error
