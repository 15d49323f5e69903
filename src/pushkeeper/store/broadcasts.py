"""Broadcasts: messages on their way to many, planned page by page by whoever gets to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.store.database import columns, load_queries, storable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId
    from pushkeeper.store.batches import Plan
    from pushkeeper.store.database import Connection, Database

SQL = load_queries("broadcasts")


class BroadcastState(StrEnum):
    FETCHING = "fetching"  # whom it goes to is in a file elsewhere, which a worker is to read
    PLANNING = "planning"  # a worker cuts its audience into batches
    PLANNED = "planned"  # all of it is in the queue, or was
    FAILED = "failed"  # it cannot be planned


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """A broadcast of a message to everybody, to whom a filter is true of, to those listed, or to those in a file."""

    workspace_id: WorkspaceId
    message_id: UUID
    template_id: int | None = None
    audience: Any = None
    listed: bool = False
    file_url: str | None = None
    ignore_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToPlan:
    """A broadcast that is to be planned, and how far that has come."""

    broadcast_id: int
    workspace_id: WorkspaceId
    message_id: UUID
    state: str
    audience: Any
    listed: bool
    file_url: str | None
    ignore_missing: bool
    last_device: DeviceId
    last_person: PersonId
    send_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """How a broadcast stands, and for how many devices it was planned so far."""

    broadcast_id: int
    message_id: UUID
    template_id: int | None
    state: str
    devices: int
    failure: str | None
    created_at: datetime
    planned_at: datetime | None


async def insert(connection: Connection, new: New) -> int:
    """Keep a new broadcast, and return its number."""
    state = BroadcastState.PLANNING if new.file_url is None else BroadcastState.FETCHING
    made: int = await connection.fetchval(
        SQL["insert"],
        new.workspace_id,
        new.message_id,
        new.template_id,
        state,
        new.audience,
        new.listed,
        new.file_url,
        new.ignore_missing,
    )
    return made


async def list_people(
    connection: Connection, message_id: UUID, named: Sequence[tuple[PersonId, dict[str, Any] | None]]
) -> None:
    """Name people for a message, with what is told to each alone."""
    await connection.execute(SQL["list_people"], message_id, *columns(named, 2))


async def known(
    connection: Connection, workspace: WorkspaceId, who: Sequence[Identifier]
) -> dict[tuple[str, str], PersonId]:
    """The people of these identifiers, by kind and key; one that nobody has is missing."""
    kept = [one.key for one in who if one.kind is not IdentifierKind.CIO_ID]
    by_cio_id = [one.person_id for one in who if one.person_id is not None]
    rows = await connection.fetch(SQL["known"], workspace, *columns(kept, 2), by_cio_id)
    return {(row["kind"], row["key"] or cio_id(row["person_id"])): row["person_id"] for row in rows}


async def next_to_plan(connection: Connection, state: BroadcastState, *, most_batches: int) -> ToPlan | None:
    """A broadcast in this state, which nobody else gets until the transaction ends."""
    row = await connection.fetchrow(SQL["next"], state, most_batches)
    return None if row is None else ToPlan(**row)


async def advance(
    connection: Connection, broadcast: ToPlan, last_device: DeviceId, last_person: PersonId, devices: int
) -> None:
    """Note how far a plan has come, and for how many more devices."""
    await connection.execute(SQL["advance"], broadcast.broadcast_id, last_device, last_person, devices)


async def plan_listed(
    connection: Connection, what: Plan, *, after: PersonId, page: int, size: int
) -> tuple[PersonId | None, int]:
    """Cut the devices of the next people who are named for a message into batches of up to `size`.

    Returns the last person, None after the last page, and how many devices there were.
    """
    row = await connection.fetchrow(
        SQL["plan_listed"],
        what.workspace_id,
        what.message_id,
        what.priority,
        what.due_at,
        *what.lane_columns(),
        after,
        page,
        size,
    )
    assert row is not None  # noqa: S101 - an aggregate has a row
    return row["last"] if row["people"] == page else None, row["devices"]


async def fetched(connection: Connection, broadcast_id: int) -> None:
    """Those named in the file are listed."""
    await connection.execute(SQL["fetched"], broadcast_id)


async def planned(connection: Connection, broadcast_id: int) -> None:
    """Nobody is left to plan for."""
    await connection.execute(SQL["planned"], broadcast_id)


async def failed(connection: Connection, broadcast_id: int, failure: str) -> None:
    """It cannot be planned, and why."""
    await connection.execute(SQL["failed"], broadcast_id, storable(failure))


async def put_off(connection: Connection, broadcast_id: int, failure: str) -> None:
    """A page of it could not be planned: others go first, and the tenth time in a row is its last."""
    await connection.execute(SQL["put_off"], broadcast_id, storable(failure))


async def read(
    database: Database, workspace: WorkspaceId, template_id: int, broadcast_id: int
) -> Broadcast | None:
    """One broadcast of a template."""
    row = await database.row(SQL["read"], workspace, template_id, broadcast_id)
    return None if row is None else Broadcast(**row)


async def under_plan(database: Database, template_id: int) -> int:
    """How many broadcasts of a template are not planned yet."""
    found: int = await database.value(SQL["under_plan"], template_id)
    return found
