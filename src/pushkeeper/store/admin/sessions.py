"""Sessions of users, by the hash of what their browser holds; and how often logging in failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.roles import FAILURES_WITHIN, IDLE, LONGEST, Failures
from pushkeeper.store.admin.accounts import as_user
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from pushkeeper.core.roles import UserId
    from pushkeeper.store.admin.accounts import User
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

_SEEN_EVERY_S = 60


async def start(connection: Connection, token_hash: bytes, user: UserId, address: str) -> None:
    """Create a session of a user, by the hash of its token."""
    await connection.execute(SQL["start"], token_hash, user, address)


async def find(database: Database, token_hash: bytes) -> User | None:
    """Whose session this is, if it is not over and they are not kept out; that it was seen is written once a minute."""
    row = await database.row(SQL["find"], token_hash, _SEEN_EVERY_S, IDLE, LONGEST)
    return None if row is None else as_user(row)


async def end(database: Database, token_hash: bytes) -> None:
    """Log out."""
    await database.rows(SQL["end"], token_hash)


async def end_of(connection: Connection, user: UserId, *, but: bytes | None = None) -> None:
    """Log a user out everywhere, or everywhere but here."""
    await connection.execute(SQL["end_of"], user, but)


async def failures(database: Database, name_hash: bytes, address: str) -> Failures:
    """Failed logins recently."""
    row = await database.row(SQL["failures"], name_hash, address, FAILURES_WITHIN)
    assert row is not None  # noqa: S101 - an aggregate has a row
    return Failures(**row)


async def note_failure(database: Database, name_hash: bytes, address: str) -> None:
    """Logging in failed."""
    await database.rows(SQL["note_failure"], name_hash, address)


async def forget_failures(database: Database, name_hash: bytes, address: str) -> None:
    """Reset the failed logins of this name and address after a success."""
    await database.rows(SQL["forget_failures"], name_hash, address)


async def clean(database: Database) -> None:
    """Forget what is over: sessions, links and failures."""
    await database.rows(SQL["clean"], IDLE, LONGEST, FAILURES_WITHIN)
