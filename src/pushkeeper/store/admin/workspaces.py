"""Workspaces and their keys."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, structs

from pushkeeper.core import cell
from pushkeeper.core.model import WorkspaceId
from pushkeeper.errors import Conflict, NotFound
from pushkeeper.store.db import cells
from pushkeeper.store.db.database import ROUTES_CHANNEL
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.db.statements import nothing_else
from pushkeeper.store.delivery.sending import SendingPause

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.db.statements import Also

SQL = load_queries(__name__)

Choice: TypeAlias = int | bool | str | None
KeyKind = Literal["track", "app", "cdp"]
# An app or write key is one string: so much of it behind its cell finds the row, all of it is compared.
_PUBLIC_CHARACTERS = 12
COUNTED_WITHIN_MS = (
    60  # what takes longer is counted by workers, at most once an hour unless somebody looks at it
)
MOST_NAMES = 1_000


@dataclass(frozen=True, slots=True)
class Workspace:
    workspace_id: WorkspaceId
    name: str


@dataclass(frozen=True, slots=True)
class NamedWorkspace(Workspace):
    """A workspace as it is chosen from a list, with the pause of its sending; None while it sends."""

    pause: SendingPause | None


@dataclass(frozen=True, slots=True)
class WorkspaceRecord:
    """A workspace and how much it holds: now, or when it was counted."""

    workspace_id: WorkspaceId
    name: str
    site_id: str
    created_at: datetime
    people: int
    devices: int
    counted_at: datetime | None = None


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a workspace may choose; the migrations' CHECKs have the same bounds."""

    suppress_after: Annotated[
        int,
        Meta(ge=1, le=100, description="Number of consecutive bounces after which a device is suppressed."),
    ]
    min_strike_gap_s: Annotated[
        int,
        Meta(ge=0, le=31_536_000, description="Minimum time between counted bounces, in seconds."),
    ]
    suppress_on_definitive: Annotated[
        bool, Meta(description="Whether the first unregistered response suppresses a device.")
    ]
    delete_unregistered: Annotated[
        bool, Meta(description="Whether unregistered devices are deleted instead.")
    ]
    max_pushes_per_s: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(description="Rate limit per route, in pushes per second; null for the provider's default."),
    ]
    ramp_s: Annotated[
        int, Meta(ge=0, le=3_600, description="Ramp-up time of a route after a cold start, in seconds.")
    ]
    token_ownership: Annotated[
        Literal["move", "share"],
        Meta(description="Whether a token that another person registers is moved to them or shared."),
    ]
    allow_placeholder_ids: Annotated[
        bool,
        Meta(description="Whether placeholder IDs (`undefined`, `0`) can create a person."),
    ]


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
        return secrets.compare_digest(self.secret_hash, hash_of_key(key))


async def create(database: Database, name: str) -> tuple[Workspace, NewKeys]:
    """Make a workspace and its keys.

    Raises:
        Conflict: the name is taken.
    """
    prefix = cell.key_prefix(await cells.of(database))
    keys = NewKeys(
        site_id=f"{prefix}{secrets.token_hex(10)}",
        api_key=f"{prefix}{secrets.token_hex(16)}",
        app_api_key=f"{prefix}{secrets.token_hex(20)}",
        write_key=f"{prefix}{secrets.token_hex(20)}",
    )
    rows = [
        ("track", keys.site_id, hash_of_key(keys.api_key)),
        ("app", public_part(keys.app_api_key), hash_of_key(keys.app_api_key)),
        ("cdp", public_part(keys.write_key), hash_of_key(keys.write_key)),
    ]
    made = await database.row(SQL["create"], name, *(list(column) for column in zip(*rows, strict=True)))
    if made is None:
        raise Conflict(f"A workspace named {name!r} already exists")
    return Workspace(made["workspace_id"], name), keys


async def list_all(database: Database) -> list[WorkspaceRecord]:
    """Every workspace, oldest first; large ones with their last count."""
    return [WorkspaceRecord(**row) for row in await database.rows(SQL["all"], COUNTED_WITHIN_MS)]


async def names(database: Database) -> list[NamedWorkspace]:
    """The workspaces by their names, a thousand at most."""
    return [
        NamedWorkspace(
            row["workspace_id"], row["name"], None if row["paused_at"] is None else SendingPause.of_row(row)
        )
        for row in await database.rows(SQL["names"], MOST_NAMES)
    ]


async def ids(database: Database) -> list[WorkspaceId]:
    """Every workspace."""
    return [WorkspaceId(row["workspace_id"]) for row in await database.rows(SQL["ids"])]


async def by_name(database: Database, name: str) -> Workspace:
    """The workspace with this name.

    Raises:
        NotFound: it does not exist.
    """
    row = await database.row(SQL["by_name"], name)
    if row is None:
        raise NotFound(f"Workspace {name!r} not found")
    return Workspace(row["workspace_id"], row["name"])


async def options(database: Database, workspace: WorkspaceId) -> Options:
    """What a workspace chose."""
    row = await database.of(workspace).row(SQL["options"], workspace)
    if row is None:
        raise NotFound("Workspace not found")
    return Options(**row)


async def choose(
    database: Database, workspace: WorkspaceId, changes: Mapping[str, Choice], also: Also = nothing_else
) -> Options:
    """Change some of a workspace's options, by name, and return them all; its workers are notified. `also` runs in the same transaction.

    Raises:
        Conflict: tokens are to have one owner, and some are shared.
    """
    chosen = structs.replace(await options(database, workspace), **changes)

    async def work(connection: Connection) -> None:
        moves = chosen.token_ownership == "move"  # noqa: S105 - a choice, not a secret
        if moves and await connection.fetchval(SQL["shares"], workspace):
            raise Conflict("token_ownership cannot be changed, as some tokens are shared by several people")
        await connection.execute(
            SQL["choose"],
            workspace,
            chosen.suppress_after,
            chosen.min_strike_gap_s,
            chosen.suppress_on_definitive,
            chosen.delete_unregistered,
            chosen.max_pushes_per_s,
            chosen.ramp_s,
            chosen.token_ownership,
            chosen.allow_placeholder_ids,
        )
        await also(connection)
        await connection.execute(f"notify {ROUTES_CHANNEL}")

    await database.of(workspace).in_transaction(work)
    return chosen


async def holder_of_site(database: Database, site_id: str) -> KeyHolder | None:
    """The holder of this site ID; its API key is compared afterwards."""
    return await _holder(database, "track", site_id)


async def holder_of_key(database: Database, kind: Literal["app", "cdp"], key: str) -> KeyHolder | None:
    """Who may have this key; it is still to be compared."""
    return await _holder(database, kind, public_part(key))


async def _holder(database: Database, kind: KeyKind, key_id: str) -> KeyHolder | None:
    row = await database.row(SQL["key"], kind, key_id)
    if row is None:
        return None
    return KeyHolder(Workspace(row["workspace_id"], row["name"]), row["secret_hash"])


def public_part(key: str) -> str:
    """What of an app or write key may be shown, and finds its row."""
    return key[: len(cell.prefix_of(key)) + _PUBLIC_CHARACTERS]


def hash_of_key(key: str) -> bytes:
    """Keys are 128 random bits or more, so one round of SHA-256 is enough to keep them."""
    return hashlib.sha256(key.encode()).digest()
