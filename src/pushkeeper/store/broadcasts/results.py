"""Results of broadcasts: outcomes and what apps reported."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)


async def of_messages(
    database: Database, workspace: WorkspaceId, messages: Collection[UUID]
) -> Mapping[UUID, list[tuple[str, str, int]]]:
    """The counts of some broadcasts, by the ID of their message: platform, outcome or reported metric, and number."""
    found: defaultdict[UUID, list[tuple[str, str, int]]] = defaultdict(list)
    if messages:
        for row in await database.of(workspace).rows(SQL["of_messages"], workspace, list(messages)):
            found[row["message_id"]].append((row["platform"], row["name"], row["count"]))
    return found


async def of_workspace(
    database: Database, workspace: WorkspaceId, limit: int
) -> Mapping[int, list[tuple[str, int]]]:
    """The counts of the newest broadcasts that began, by their number: outcome or reported metric, and number."""
    found: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for row in await database.reading(workspace).rows(SQL["of_workspace"], workspace, limit):
        found[row["broadcast_id"]].append((row["name"], row["count"]))
    return found
