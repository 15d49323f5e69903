"""What people did, what counts once, and the devices of those who are not known yet."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId, device_id
from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.devices.devices import Registration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

EventKind = Literal["event", "page", "screen"]


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person did, known or anonymous."""

    kind: EventKind
    name: str
    data: dict[str, Any]
    happened_at: datetime


async def first_time(
    connection: Connection, once: Sequence[tuple[WorkspaceId, bytes]]
) -> set[tuple[WorkspaceId, bytes]]:
    """Remember ids of calls, and return those that were not known."""
    rows = await connection.fetch(SQL["first_time"], *columns(sorted(set(once)), 2))
    return {(row["workspace_id"], row["once"]) for row in rows}


async def insert(
    connection: Connection, told: Sequence[tuple[WorkspaceId, PersonId | None, str | None, NewEvent]]
) -> None:
    """Write events, each of a person, of an anonymous id, or of neither."""
    rows = [
        (workspace, person, anonymous_id, event.kind, event.name, event.data, event.happened_at)
        for workspace, person, anonymous_id, event in told
    ]
    await connection.execute(SQL["insert"], *columns(rows, 7))


async def claim(
    connection: Connection, claims: Sequence[tuple[WorkspaceId, str, PersonId]]
) -> list[tuple[WorkspaceId, PersonId, Registration]]:
    """Assign the earlier events and devices of anonymous ids to people, for ids that nobody identified with before.

    The devices are returned, to be registered by the caller.
    """
    first = [tuple(row.values()) for row in await connection.fetch(SQL["claim"], *columns(sorted(claims), 3))]
    if not first:
        return []
    await connection.execute(SQL["attach"], *columns(first, 3))
    taken = await connection.fetch(SQL["take_devices"], *columns(first, 3))
    return [
        (row["workspace_id"], row["person_id"], msgspec.convert(row["registration"], Registration))
        for row in taken
    ]


async def drop_anonymous(connection: Connection, claims: Sequence[tuple[WorkspaceId, str]]) -> None:
    """Detach the earlier events and devices of these anonymous IDs, so that nobody gets them."""
    await connection.execute(SQL["detach"], *columns(claims, 2))
    await connection.execute(SQL["drop_devices"], *columns(claims, 2))


async def keep_devices(connection: Connection, told: Sequence[tuple[WorkspaceId, str, Registration]]) -> None:
    """Keep the devices of anonymous ids until somebody identifies by one of them; no two may be the same device."""
    rows = [
        (
            workspace,
            device_id(workspace, registration.token),
            anonymous_id,
            msgspec.to_builtins(registration),
        )
        for workspace, anonymous_id, registration in told
    ]
    await connection.execute(SQL["keep_device"], *columns(rows, 4))


async def forget_devices(connection: Connection, gone: Sequence[tuple[WorkspaceId, DeviceId]]) -> None:
    """Delete these devices' registrations by anonymous people."""
    await connection.execute(SQL["forget_devices"], *columns(gone, 2))


async def note(connection: Connection, workspace: WorkspaceId, said: dict[str, Any]) -> None:
    """Store notes about objects."""
    await connection.execute(SQL["note"], workspace, said)


async def notes_of(
    database: Database, workspace: WorkspaceId, identifiers: Sequence[dict[str, str]]
) -> list[dict[str, Any]]:
    """Notes about relationships of a person with these identifiers, oldest first."""
    named = [{"identifiers": one} for one in identifiers]
    related = [{"cio_relationships": [one]} for one in named]
    rows = await database.of(workspace).rows(SQL["notes_of"], workspace, [*named, *related])
    return [row["said"] for row in rows]


async def clean(database: Database) -> None:
    """Forget ids that may come again, and devices that nobody came for."""
    await database.rows(SQL["forget_seen"])
    await database.rows(SQL["forget_old_devices"])
