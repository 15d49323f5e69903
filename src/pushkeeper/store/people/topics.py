"""Subscription topics, defined only by the choices that people have made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)

LOOKED_AT = 10_000  # of the newest people, and as many of a part of all


async def preferences(database: Database, workspace: WorkspaceId) -> list[Any]:
    """The subscription preferences in the attributes of a workspace's people."""
    rows = await database.of(workspace).rows(SQL["preferences"], workspace, LOOKED_AT)
    return [row["preferences"] for row in rows]
