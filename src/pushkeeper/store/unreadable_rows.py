"""Rows that cannot be read, as recorded when they were skipped (store/db/unreadable.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

SQL = load_queries("pushkeeper.store.db.unreadable")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRow:
    """A row that could not be read, by its table and key: the reason, and when it was first and last seen."""

    table_name: str
    key: str
    reason: str
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The number of unreadable rows in one table of a workspace, and the reason of one of them."""

    workspace: str
    table_name: str
    rows: int
    reason: str


async def of_workspace(database: Database, workspace: WorkspaceId) -> list[UnreadableRow]:
    """The rows of a workspace that could not be read in the last day, the latest first; two hundred at most."""
    return [UnreadableRow(**row) for row in await database.of(workspace).rows(SQL["of_workspace"], workspace)]


async def counts(database: Database) -> list[Count]:
    """How many rows could not be read in the last day, by workspace and table."""
    return [Count(**row) for row in await database.rows(SQL["counts"])]


async def clean(database: Database) -> None:
    """Forget rows that have been readable for a week."""
    await database.rows(SQL["clean"])
