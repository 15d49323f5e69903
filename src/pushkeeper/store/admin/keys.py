"""Keys of workspaces: by which clients call; each is shown once, and kept as a hash."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pushkeeper.core import cell
from pushkeeper.errors import Conflict, NotFound
from pushkeeper.store.admin.workspaces import hash_of_key, public_part
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.db.statements import nothing_else

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.admin.workspaces import KeyKind
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.db.statements import Also

SQL = load_queries(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What of a key may be shown: the site id, or the beginning of the key."""

    kind: KeyKind
    key_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key, shown once; a site has an id beside it."""

    kind: KeyKind
    key_id: str
    secret: str = field(repr=False)


async def of_workspace(database: Database, workspace: WorkspaceId) -> list[KeyRecord]:
    """The keys of a workspace, by their kinds, the oldest first."""
    return [KeyRecord(**row) for row in await database.of(workspace).rows(SQL["of_workspace"], workspace)]


async def make(database: Database, workspace: WorkspaceId, kind: KeyKind) -> NewKey:
    """Make another key of a kind, beside those that there are."""
    prefix = cell.key_prefix(cell.of_number(workspace))
    secret = f"{prefix}{secrets.token_hex(16 if kind == 'track' else 20)}"
    key_id = f"{prefix}{secrets.token_hex(10)}" if kind == "track" else public_part(secret)
    await database.of(workspace).rows(SQL["insert"], workspace, kind, key_id, hash_of_key(secret))
    return NewKey(kind, key_id, secret)


async def revoke(
    database: Database, workspace: WorkspaceId, kind: str, key_id: str, also: Also = nothing_else
) -> None:
    """Revoke a key; processes that cached it forget it within a second. `also` runs in the same transaction.

    Raises:
        NotFound: there is no such key.
        Conflict: it is the last of its kind.
    """

    async def work(connection: Connection) -> None:
        found = [row["key_id"] for row in await connection.fetch(SQL["lock"], workspace, kind)]
        if key_id not in found:
            raise NotFound("Key not found")
        if len(found) == 1:
            raise Conflict("This is the last key of its kind; create another one first")
        await connection.execute(SQL["delete"], workspace, kind, key_id)
        await also(connection)

    await database.of(workspace).in_transaction(work)
