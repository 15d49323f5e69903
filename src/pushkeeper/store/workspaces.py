"""Workspaces and their keys."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pushkeeper.errors import Conflict, NotFound
from pushkeeper.store.database import load_queries

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.database import Database

SQL = load_queries("workspaces")

KeyKind = Literal["track", "app", "cdp"]
# An app or write key is one string: so much of it finds the row, all of it is compared.
PUBLIC_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Workspace:
    workspace_id: WorkspaceId
    name: str


@dataclass(frozen=True, slots=True)
class WorkspaceFacts:
    """A workspace and how much it holds."""

    workspace_id: WorkspaceId
    name: str
    site_id: str
    created_at: datetime
    people: int
    devices: int


@dataclass(frozen=True, slots=True)
class NewKeys:
    """A new workspace's keys, shown once: only their hashes are kept."""

    site_id: str
    api_key: str = field(repr=False)
    app_api_key: str = field(repr=False)
    write_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose key it is, and the hash that the key must have."""

    workspace: Workspace
    secret_hash: bytes

    def matches(self, key: str) -> bool:
        """Whether this is the key, compared in constant time."""
        return secrets.compare_digest(self.secret_hash, _hash(key))


async def create(database: Database, name: str) -> tuple[Workspace, NewKeys]:
    """Make a workspace and its keys.

    Raises:
        Conflict: the name is taken.
    """
    keys = NewKeys(
        site_id=secrets.token_hex(10),
        api_key=secrets.token_hex(16),
        app_api_key=secrets.token_hex(20),
        write_key=secrets.token_hex(20),
    )
    rows = [
        ("track", keys.site_id, _hash(keys.api_key)),
        ("app", keys.app_api_key[:PUBLIC_CHARACTERS], _hash(keys.app_api_key)),
        ("cdp", keys.write_key[:PUBLIC_CHARACTERS], _hash(keys.write_key)),
    ]
    made = await database.row(SQL["create"], name, *(list(column) for column in zip(*rows, strict=True)))
    if made is None:
        raise Conflict(f"workspace: there is one named {name!r} already")
    return Workspace(made["workspace_id"], name), keys


async def list_all(database: Database) -> list[WorkspaceFacts]:
    """Every workspace, oldest first."""
    return [WorkspaceFacts(**row) for row in await database.rows(SQL["all"])]


async def by_name(database: Database, name: str) -> Workspace:
    """The workspace of this name.

    Raises:
        NotFound: there is none.
    """
    row = await database.row(SQL["by_name"], name)
    if row is None:
        raise NotFound(f"workspace: there is none named {name!r}")
    return Workspace(row["workspace_id"], row["name"])


async def holder_of_site(database: Database, site_id: str) -> KeyHolder | None:
    """Who has this site id; its API key is still to be compared."""
    return await _holder(database, "track", site_id)


async def holder_of_key(database: Database, kind: Literal["app", "cdp"], key: str) -> KeyHolder | None:
    """Who may have this key; it is still to be compared."""
    return await _holder(database, kind, key[:PUBLIC_CHARACTERS])


async def _holder(database: Database, kind: KeyKind, key_id: str) -> KeyHolder | None:
    row = await database.row(SQL["key"], kind, key_id)
    if row is None:
        return None
    return KeyHolder(Workspace(row["workspace_id"], row["name"]), row["secret_hash"])


def _hash(key: str) -> bytes:
    """Keys are 128 random bits or more, so one round of SHA-256 is enough to keep them."""
    return hashlib.sha256(key.encode()).digest()
