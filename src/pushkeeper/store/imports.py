"""Imports: files that bring people and devices, part by part, and the result of their records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.model import DeviceId, Environment, IdKind, PersonId, Platform, Token
from pushkeeper.store.db.database import PLAN_CHANNEL, columns
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.jobs import ClaimLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.jobs import Claim

SQL = load_queries(__name__)

MAX_ATTRIBUTES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImport:
    """A file to import, and its options.

    Attributes:
        source: the vendor, one of `core.imports.sources.READERS`.
        name: of the file, for people.
        options: as `core.imports.row.ImportOptions`.
        mapping: the TOML that names the columns of a file of the generic source.
        move: move devices from other owners, if the file's are newer.
        apply: write; without it only what would be written is counted.
        description: for people, as the name.
    """

    source: str
    name: str
    options: dict[str, Any]
    mapping: str | None = None
    move: bool = False
    apply: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import(NewImport):
    """An import, and its state: `uploading`, `pending`, `done`, `failed` or `cancelled`.

    Attributes:
        bytes: of the file as it was uploaded.
        records: processed records of the file; `read_bytes` is the position after them.
        counts: the result so far, as `services.imports.counts.Counts`.
        checked: records whose devices were compared with those that are there, after all were written; `checked_bytes` is up to
            where that is in the file.
        began_at, began_bytes: the attempt that is running, and what was read and compared before it.
        has_file: all of the file is there.
        failure: why it failed for good; `last_error` is that of the last attempt.
    """

    import_id: int
    workspace_id: WorkspaceId
    state: str
    bytes: int
    read_bytes: int
    records: int
    counts: dict[str, Any]
    checked: int
    checked_bytes: int
    began_at: datetime | None
    began_bytes: int
    has_file: bool
    failure: str | None
    last_error: str | None
    attempts: int
    next_attempt_at: datetime
    created_at: datetime
    updated_at: datetime


class NewDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device of a file with its person; `key` is its token's."""

    key: DeviceId
    person_id: PersonId
    token: Token
    id_kind: IdKind
    platform: Platform
    app: str | None
    environment: Environment | None
    attributes: dict[str, Any]
    last_used: datetime
    registered_at: datetime
    status: str
    failure_reason: str | None


async def insert(
    database: Database, workspace: WorkspaceId, wanted: NewImport, fetch_from: bytes | None = None
) -> int:
    """Make an import whose file is still to come, and return its number.

    With `fetch_from`, which says sealed where the file is, workers fetch it; without it, it is uploaded.
    """
    query = SQL.bind("insert", workspace_id=workspace, fetch_from=fetch_from, **asdict(wanted))
    made: int = await database.of(workspace).value(*query)
    if fetch_from is not None:
        await database.of(workspace).rows(f"notify {PLAN_CHANNEL}")
    return made


async def add_part(
    database: Database, workspace: WorkspaceId, import_id: int, part: int, content: bytes
) -> bool:
    """Add the next part of a file; False when the import takes no more."""
    query = SQL.bind("add_part", workspace_id=workspace, import_id=import_id, part=part, content=content)
    return await database.of(workspace).value(*query) is not None


async def uploaded(database: Database, workspace: WorkspaceId, import_id: int) -> bool:
    """Let workers read a file that is whole; False when the import takes none any more."""
    done = await database.of(workspace).value(SQL["uploaded"], workspace, import_id)
    await database.of(workspace).rows(f"notify {PLAN_CHANNEL}")
    return done is not None


async def forget_upload(database: Database, workspace: WorkspaceId, import_id: int) -> None:
    """Delete an import whose upload ended too early, with what is there of it."""
    await database.of(workspace).rows(SQL["forget_upload"], workspace, import_id)


async def to_fetch(database: Database, claim: Claim) -> tuple[bytes | None, str]:
    """Where the file of a claimed import is, sealed, and up to which place it is there; None: all of it is.

    `ClaimLost` where the import is not to go on.
    """
    row = await database.of(claim.workspace_id).row(SQL["to_fetch"], *claim.row)
    if row is None:
        raise ClaimLost
    return row["fetch_from"], row["fetched_to"]


async def fetch_again(database: Database, claim: Claim) -> None:
    """Forget what is there of a file that is fetched; `ClaimLost` where the import is not to go on."""

    async def work(connection: Connection) -> None:
        await _if_claimed(connection, SQL["fetch_again"], claim)
        await connection.execute(SQL["forget_parts"], claim.workspace_id, claim.item_id)

    await database.of(claim.workspace_id).in_transaction(work)


async def add_fetched(database: Database, claim: Claim, content: bytes, place: str = "") -> None:
    """Add the next part of a file that is fetched, behind which `place` follows; `ClaimLost` as above."""
    await database.of(claim.workspace_id).in_transaction(
        lambda connection: _if_claimed(connection, SQL["add_fetched"], claim, content, place)
    )


async def fetched(database: Database, claim: Claim) -> None:
    """All of the file is there; `ClaimLost` as above."""
    await database.of(claim.workspace_id).in_transaction(
        lambda connection: _if_claimed(connection, SQL["fetched"], claim)
    )


async def _if_claimed(connection: Connection, statement: str, claim: Claim, *values: object) -> None:
    if await connection.fetchval(statement, *claim.row, *values) is None:
        raise ClaimLost


async def repeat(
    database: Database, workspace: WorkspaceId, import_id: int, *, mapping: str | None, apply: bool
) -> int | None:
    """Make another import of a dry run, whose file it gets; None where there is no file any more."""

    async def work(connection: Connection) -> int | None:
        made: int | None = await connection.fetchval(SQL["repeat"], workspace, import_id, mapping, apply)
        if made is not None:
            await connection.execute(SQL["hand_over"], workspace, import_id, made)
            await connection.execute(f"notify {PLAN_CHANNEL}")
        return made

    return await database.of(workspace).in_transaction(work)


async def begin(database: Database, claim: Claim) -> None:
    """An attempt begins to read: how long the rest takes is told by its speed."""
    await database.of(claim.workspace_id).rows(SQL["begin"], *claim.row)


async def of_workspace(database: Database, workspace: WorkspaceId, only: int | None = None) -> list[Import]:
    """The last hundred imports of a workspace, the newest first; or only one of them."""
    return [Import(**row) for row in await database.of(workspace).rows(SQL["all"], workspace, only)]


async def part(database: Database, workspace: WorkspaceId, import_id: int, number: int) -> bytes | None:
    """One part of a file; None after the last."""
    found: bytes | None = await database.of(workspace).value(SQL["part"], workspace, import_id, number)
    return found


async def claimed(connection: Connection, claim: Claim) -> Import:
    """A claimed import, locked until the transaction ends; `ClaimLost` if it was cancelled."""
    row = await connection.fetchrow(SQL["claimed"], *claim.row)
    if row is None:
        raise ClaimLost
    return Import(**row)


async def note(connection: Connection, claim: Claim, so_far: Import) -> None:
    """Say how far an import has come, and its result so far."""
    at = so_far.records, so_far.read_bytes, so_far.counts, so_far.checked, so_far.checked_bytes
    await connection.execute(SQL["note"], *claim.row, *at)


async def done(connection: Connection, claim: Claim, *, keep_file: bool) -> None:
    """The import is done; what it named is kept no longer, and its file only to be applied."""
    await connection.execute(SQL["done"], *claim.row)
    if not keep_file:
        await connection.execute(SQL["forget_parts"], claim.workspace_id, claim.item_id)
    await connection.execute(SQL["forget_keys"], claim.workspace_id, claim.item_id)


async def first_seen(connection: Connection, claim: Claim, keys: Sequence[bytes]) -> set[bytes]:
    """Which of these keys the file has not named before."""
    rows = await connection.fetch(SQL["first_seen"], claim.workspace_id, claim.item_id, list(keys))
    return {row["key"] for row in rows}


async def known_people(
    connection: Connection, workspace: WorkspaceId, identifiers: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], PersonId]:
    """The people of these identifiers, by kind and key; unknown ones are missing."""
    rows = await connection.fetch(SQL["known_people"], workspace, *columns(identifiers, 2))
    return {(row["kind"], row["key"]): PersonId(row["person_id"]) for row in rows}


async def made_at(
    connection: Connection, workspace: WorkspaceId, made: Sequence[tuple[PersonId, datetime]]
) -> None:
    """Keep since when there are people, where that is longer than is known."""
    if made:
        await connection.execute(SQL["made_at"], workspace, *columns(made, 2))


async def shares_tokens(connection: Connection, workspace: WorkspaceId) -> bool:
    """Whether people of the workspace may share a token."""
    found: bool = await connection.fetchval(SQL["shares_tokens"], workspace)
    return found


async def devices(
    connection: Connection,
    workspace: WorkspaceId,
    asked: Sequence[tuple[DeviceId, PersonId | None]],
    *,
    shared: bool,
) -> dict[DeviceId, tuple[PersonId, datetime]]:
    """The owners of the devices of these tokens' keys and when they were last used; for shared tokens, the person's own device."""
    rows = await connection.fetch(SQL["devices"], workspace, *columns(asked, 2), shared)
    return {
        DeviceId(row["key"]): (PersonId(row["person_id"]), row["last_used"])
        for row in rows
        if row["person_id"] is not None
    }


async def write(
    connection: Connection, workspace: WorkspaceId, given: Sequence[NewDevice], *, shared: bool, reason: str
) -> dict[DeviceId, str]:
    """Write devices, no two of the same key: `new`, `known` (its person's already) or `owned` (somebody else's, unchanged)."""
    rows = [
        (
            one.key,
            one.person_id,
            one.token.value,
            one.id_kind.value,
            one.platform.value,
            one.app,
            one.environment,
            one.attributes,
            one.last_used,
            one.registered_at,
            one.status,
            one.failure_reason,
        )
        for one in given
    ]
    found = await connection.fetch(
        SQL["write"], workspace, *columns(rows, 12), shared, MAX_ATTRIBUTES, reason
    )
    return {DeviceId(row["key"]): row["outcome"] for row in found}
