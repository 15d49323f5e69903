"""Row-level security: who runs a statement sees the rows of some workspaces alone, or those of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)


async def lock(connection: Connection) -> bool:
    """Give every table that has none its policies; False where the roles that they are for may not be made.

    For the tables' owner, after each migration.
    """
    if not await connection.fetchval(SQL["there"]):
        await connection.execute(SQL["roles"])
        if not await connection.fetchval(SQL["there"]):
            return False
    tables = await connection.fetch(SQL["unlocked"])
    for table in tables:
        await connection.execute(SQL["lock"].replace("{table}", table["name"]))
        if table["is_tenants"]:
            await connection.execute(SQL["lock_tenants"].replace("{table}", table["name"]))
    if tables:
        await connection.execute(SQL["schema"])
    return True
