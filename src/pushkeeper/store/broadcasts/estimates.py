"""Estimates of broadcasts: requested here, made by workers, kept with their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.store.db.database import PLAN_CHANNEL
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.jobs import Claim

SQL = load_queries(__name__)


async def request(connection: Connection, workspace: WorkspaceId, broadcast_id: int) -> None:
    """Request an estimate, in place of any former one; workers are notified at the commit."""
    await connection.execute(SQL["request"], workspace, broadcast_id)
    await connection.execute(f"notify {PLAN_CHANNEL}")


async def lock(connection: Connection, claim: Claim) -> datetime | None:
    """When a claimed estimate was requested, locked until the transaction ends; None where the claim is lost."""
    found: datetime | None = await connection.fetchval(SQL["lock"], *claim.row)
    return found


async def finish(
    connection: Connection, workspace: WorkspaceId, broadcast_id: int, *, failure: str | None
) -> None:
    """Finish the estimate, or fail it permanently; other workers lose their claims."""
    await connection.execute(SQL["finish"], workspace, broadcast_id, failure)


async def has_worker(database: Database) -> bool:
    """Whether a worker is alive that could make an estimate."""
    found: bool = await database.value(SQL["has_worker"])
    return found
