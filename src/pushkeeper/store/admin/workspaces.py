"""Workspaces and their keys."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from pushkeeper.core import cell
from pushkeeper.core.model import WorkspaceId
from pushkeeper.errors import BadRequest, Conflict, NotFound
from pushkeeper.store.db import cells
from pushkeeper.store.db.database import ROUTES_CHANNEL
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.db.statements import nothing_else

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
class WorkspaceFacts:
    """A workspace and how much it holds: now, or when it was counted."""

    workspace_id: WorkspaceId
    name: str
    site_id: str
    created_at: datetime
    people: int
    devices: int
    counted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a workspace may choose; the defaults are the documented lifecycle.

    Attributes:
        suppress_after: strikes in a row that suppress a device.
        min_strike_gap_s: a strike that comes sooner after the one before does not count.
        suppress_on_definitive: the first refusal that names the device as gone suppresses it.
        delete_unregistered: such a device is deleted instead.
        max_pushes_per_s: how many pushes each of its routes may send in a second; None for the provider's own bounds.
        ramp_s: how long a route takes from a cold start to its full rate.
        token_ownership: `move`: a token that is registered for a second person is theirs alone; `share`: both have it.
        allow_placeholder_ids: an id that is a program's placeholder (`undefined`, `null`, `0`) may create a person.
    """

    suppress_after: int = 2
    min_strike_gap_s: int = 0
    suppress_on_definitive: bool = False
    delete_unregistered: bool = False
    max_pushes_per_s: int | None = None
    ramp_s: int = 60
    token_ownership: Literal["move", "share"] = "move"  # noqa: S105 - a choice, not a secret
    allow_placeholder_ids: bool = False


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
        raise Conflict(f"workspace: there is one named {name!r} already")
    return Workspace(made["workspace_id"], name), keys


async def list_all(database: Database) -> list[WorkspaceFacts]:
    """Every workspace, oldest first; one that is large as it was last counted."""
    return [WorkspaceFacts(**row) for row in await database.rows(SQL["all"], COUNTED_WITHIN_MS)]


async def names(database: Database) -> list[Workspace]:
    """The workspaces by their names, a thousand at most."""
    return [Workspace(*row.values()) for row in await database.rows(SQL["names"], MOST_NAMES)]


async def ids(database: Database) -> list[WorkspaceId]:
    """Every workspace."""
    return [WorkspaceId(row["workspace_id"]) for row in await database.rows(SQL["ids"])]


async def by_name(database: Database, name: str) -> Workspace:
    """The workspace of this name.

    Raises:
        NotFound: there is none.
    """
    row = await database.row(SQL["by_name"], name)
    if row is None:
        raise NotFound(f"workspace: {name!r} not found")
    return Workspace(row["workspace_id"], row["name"])


async def options(database: Database, workspace: WorkspaceId) -> Options:
    """What a workspace chose."""
    row = await database.of(workspace).row(SQL["options"], workspace)
    if row is None:
        raise NotFound("workspace: it is gone")
    return Options(**row)


async def choose(
    database: Database, workspace: WorkspaceId, changes: Mapping[str, Choice], also: Also = nothing_else
) -> Options:
    """Change some of a workspace's options, by name, and return them all; its workers hear of it. `also` is done with it.

    Raises:
        BadRequest: there is no such option, or it cannot have that value.
        Conflict: tokens are to move, and there are some that people share.
    """
    chosen = options_with(await options(database, workspace), changes)

    async def work(connection: Connection) -> None:
        moves = chosen.token_ownership == "move"  # noqa: S105 - a choice, not a secret
        if moves and await connection.fetchval(SQL["shares"], workspace):
            raise Conflict("token_ownership: there are tokens that several people share")
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


def options_with(former: Options, changes: Mapping[str, Choice]) -> Options:
    """Options with some of them changed.

    Raises:
        BadRequest: there is no such option, or it cannot have that value.
    """
    for name, value in changes.items():
        if name not in _BOUNDS:
            raise BadRequest(name, f"there is no such option; there are {', '.join(_BOUNDS)}")
        bounds = _BOUNDS[name]
        if bounds is None:
            if not isinstance(value, bool):
                raise BadRequest(name, "expected true or false", "wrong_type")
            continue
        if isinstance(bounds, frozenset):
            if not isinstance(value, str) or value not in bounds:
                raise BadRequest(name, f"expected {' or '.join(sorted(bounds))}")
            continue
        least, most, may_be_none = bounds
        if value is None and may_be_none:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise BadRequest(name, f"expected a whole number from {least:,} to {most:,}", "out_of_range")
    return replace(former, **changes)  # type: ignore[arg-type]  # checked by name


# Least, most, and whether it may be none; None for a switch, a set of words to choose from. The migrations' CHECKs say the
# same.
_BOUNDS: dict[str, tuple[int, int, bool] | frozenset[str] | None] = {
    "suppress_after": (1, 100, False),
    "min_strike_gap_s": (0, 31_536_000, False),
    "suppress_on_definitive": None,
    "delete_unregistered": None,
    "max_pushes_per_s": (1, 1_000_000, True),
    "ramp_s": (0, 3_600, False),
    "token_ownership": frozenset({"move", "share"}),
    "allow_placeholder_ids": None,
}


async def holder_of_site(database: Database, site_id: str) -> KeyHolder | None:
    """Who has this site id; its API key is still to be compared."""
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
