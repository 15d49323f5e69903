"""Snippets: texts that a workspace's messages share, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from datetime import datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A stored snippet."""

    name: str
    value: str
    updated_at: datetime


async def of_workspace(
    database: Database, workspace: WorkspaceId, names: Collection[str] | None = None
) -> list[Snippet]:
    """The snippets of a workspace, by name; only those of some names."""
    rows = await database.of(workspace).rows(SQL["all"], workspace, None if names is None else sorted(names))
    return [Snippet(**row) for row in rows]


def finder(
    database: Database, workspace: WorkspaceId
) -> Callable[[Collection[str]], Awaitable[dict[str, str]]]:
    """A function that finds snippets of a workspace by name; unknown names are missing in its result."""

    async def find(names: Collection[str]) -> dict[str, str]:
        return {one.name: one.value for one in await of_workspace(database, workspace, names)}

    return find


async def others(database: Database, workspace: WorkspaceId, name: str) -> int:
    """The number of snippets with other names."""
    found: int = await database.of(workspace).value(SQL["others"], workspace, name)
    return found


async def insert(database: Database, workspace: WorkspaceId, name: str, value: str) -> Snippet | None:
    """Create a snippet; None if the name is taken."""
    row = await database.of(workspace).row(SQL["insert"], workspace, name, value)
    return None if row is None else Snippet(**row)


async def put(database: Database, workspace: WorkspaceId, name: str, value: str) -> Snippet:
    """Save a snippet, replacing one of the same name."""
    row = await database.of(workspace).row(SQL["put"], workspace, name, value)
    assert row is not None  # noqa: S101 - an upsert always returns a row
    return Snippet(**row)


async def delete(database: Database, workspace: WorkspaceId, name: str) -> bool:
    """Delete a snippet; return whether it existed."""
    return await database.of(workspace).value(SQL["delete"], workspace, name) is not None
