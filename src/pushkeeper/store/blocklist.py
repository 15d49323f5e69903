"""Identifiers of people who were suppressed, which nobody may have until they are unblocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.store.database import columns, load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.identifier_hash import IdentifierHashes
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.database import Connection, Database

SQL = load_queries("blocklist")

_PAGE = 1_000


async def block(
    connection: Connection,
    workspace: WorkspaceId,
    keys: Sequence[tuple[str, str]],
    hashes: IdentifierHashes,
) -> None:
    """Let nobody have these identifiers, by their keys, from now on; what is kept of them is their hashes."""
    rows = [(workspace, kind, hashes.of(workspace, kind, key).hex()) for kind, key in keys]
    await connection.execute(SQL["block"], *columns(rows, 3))


async def unblock(
    connection: Connection, workspace: WorkspaceId, key: tuple[str, str], hashes: IdentifierHashes
) -> None:
    """Let an identifier be had again, and with it the others that the same person had."""
    await connection.execute(SQL["unblock"], workspace, *key, hashes.of(workspace, *key).hex())


async def hash_all(database: Database) -> None:
    """Let what was blocked by release 0.1 be kept as hashes too, page by page."""
    while rows := await database.rows(SQL["blocked_in_clear"], _PAGE):
        hashed = [
            (row["workspace_id"], row["kind"], row["key"], database.hashes.of(*row.values()).hex())
            for row in rows
        ]
        theirs = database.of(*{row["workspace_id"] for row in rows})
        await theirs.rows(SQL["hash_blocked"], *columns(hashed, 4))
