"""Users of the dashboard, and the links by which they set their passwords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core.roles import Role, UserId
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row

SQL = load_queries(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may use the dashboard; `ready` once they have a password."""

    user_id: UserId
    name: str
    role: Role
    ready: bool
    disabled_at: datetime | None
    created_at: datetime
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Link:
    """A link that may still be followed; of nobody, it makes the first admin."""

    user: User | None
    expires_at: datetime


async def insert(connection: Connection, name: str, key: str, role: Role) -> UserId | None:
    """Make a user without a password; None when the name is taken."""
    made: int | None = await connection.fetchval(SQL["insert"], name, key, role.value)
    return None if made is None else UserId(made)


async def every(database: Database) -> list[User]:
    """All users, by their names."""
    return [as_user(row) for row in await database.rows(SQL["every"])]


async def read(database: Database, user: UserId) -> User | None:
    """One user."""
    row = await database.row(SQL["read"], user)
    return None if row is None else as_user(row)


async def by_key(database: Database, key: str) -> tuple[User, str | None] | None:
    """The user whose name has this key, with the hash of their password if they have one."""
    row = await database.row(SQL["by_key"], key)
    return None if row is None else (as_user(row), row["password_hash"])


async def are_there(database: Database) -> bool:
    """Whether there is any user."""
    found: bool = await database.value(SQL["are_there"])
    return found


async def lock(connection: Connection) -> list[User]:
    """All users, locked against concurrent changes until this transaction ends."""
    await connection.execute(SQL["lock"])
    return [as_user(row) for row in await connection.fetch(SQL["every"])]


async def set_password(connection: Connection, user: UserId, password_hash: str) -> None:
    """Give a user another password; their links are used up by it."""
    await connection.execute(SQL["set_password"], user, password_hash)


async def set_role(connection: Connection, user: UserId, role: Role) -> None:
    """Let a user have another role."""
    await connection.execute(SQL["set_role"], user, role.value)


async def set_disabled(connection: Connection, user: UserId, *, disabled: bool) -> None:
    """Keep a user out, or let them in again; their links are used up by it."""
    await connection.execute(SQL["set_disabled"], user, disabled)


async def add_link(
    connection: Connection, token_hash: bytes, user: UserId | None, lives: timedelta
) -> datetime:
    """Store a user's link in place of earlier ones, or one that creates the first admin; returns its expiry."""
    expires_at: datetime = await connection.fetchval(SQL["add_link"], token_hash, user, lives)
    return expires_at


async def link(database: Database, token_hash: bytes) -> Link | None:
    """The link of this hash, if it may still be followed."""
    row = await database.row(SQL["link"], token_hash)
    if row is None:
        return None
    return Link(as_user(row) if row["user_id"] is not None else None, row["expires_at"])


async def use_link(connection: Connection, token_hash: bytes) -> tuple[UserId | None] | None:
    """Take a link away, and return whose it was; None when it was not there or has ended."""
    row = await connection.fetchrow(SQL["use_link"], token_hash)
    return None if row is None else (row["user_id"],)


def as_user(row: Row) -> User:
    """The user of a row with all of their columns."""
    return User(
        user_id=UserId(row["user_id"]),
        name=row["name"],
        role=Role(row["role"]),
        ready=row["ready"],
        disabled_at=row["disabled_at"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
    )
