"""Identifiers of suppressed people, which nobody can use until they are unblocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.identifier_hash import IdentifierHashes
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

_PAGE = 1_000


async def block(
    connection: Connection,
    workspace: WorkspaceId,
    keys: Sequence[tuple[str, str]],
    hashes: IdentifierHashes,
) -> None:
    """Block these identifiers, given by their keys; only their hashes are stored."""
    rows = [(workspace, kind, hashes.of(workspace, kind, key).hex()) for kind, key in keys]
    await connection.execute(SQL["block"], *columns(rows, 3))


async def unblock(
    connection: Connection, workspace: WorkspaceId, key: tuple[str, str], hashes: IdentifierHashes
) -> None:
    """Unblock an identifier, and with it the others that the same person had."""
    await connection.execute(SQL["unblock"], workspace, *key, hashes.of(workspace, *key).hex())


async def hash_all(database: Database) -> None:
    """Replace the identifiers that release 0.1 blocked by their hashes, page by page."""
    while rows := await database.rows(SQL["blocked_in_clear"], _PAGE):
        hashed = [
            (row["workspace_id"], row["kind"], row["key"], database.hashes.of(*row.values()).hex())
            for row in rows
        ]
        theirs = database.of(*{row["workspace_id"] for row in rows})
        await theirs.rows(SQL["hash_blocked"], *columns(hashed, 4))
