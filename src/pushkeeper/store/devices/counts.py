"""How many devices there are, of each platform and status, and with each VAPID key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.model import Platform
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)


@dataclass(frozen=True, slots=True)
class Count:
    platform: Platform
    status: LastStatus
    devices: int


async def counts(database: Database, workspace: WorkspaceId) -> list[Count]:
    """How many devices there are of each platform and last status."""
    rows = await database.of(workspace).rows(SQL["counts"], workspace)
    return [Count(Platform(row["platform"]), LastStatus(row["status"]), row["devices"]) for row in rows]


async def by_vapid_key(database: Database, workspace: WorkspaceId) -> dict[str, int]:
    """How many browsers subscribed with each VAPID key of a workspace, by its id."""
    rows = await database.of(workspace).rows(SQL["by_vapid_key"], workspace)
    return {row["vapid_key"]: row["devices"] for row in rows}
