"""Opening a database: what is wrong with its configured address."""

from __future__ import annotations

import asyncpg

from pushkeeper.errors import Misconfigured, PushkeeperError, Unreachable
from pushkeeper.store.db.connections import where
from pushkeeper.store.db.driver_errors import ReadOnly

_NOT_LETTING_US_IN = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)


def refusal(error: Exception, url: str) -> PushkeeperError | None:
    """The configuration error behind an error of the first statements; None for any other error."""
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
