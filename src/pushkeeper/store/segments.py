"""Manual segments: people put together by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.store.database import load_queries
from pushkeeper.store.people import Member

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.database import Connection, Database

SQL = load_queries("segments")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    segment_id: int
    name: str
    description: str
    created_at: datetime
    updated_at: datetime


async def insert(database: Database, workspace: WorkspaceId, name: str, description: str) -> Segment:
    """Make an empty segment."""
    row = await database.row(SQL["insert"], workspace, name, description)
    assert row is not None  # noqa: S101 - an insert returns its row
    return Segment(**row)


async def of_workspace(database: Database, workspace: WorkspaceId) -> list[Segment]:
    """All segments, the oldest first."""
    return [Segment(**row) for row in await database.rows(SQL["all"], workspace)]


async def of_person(database: Database, workspace: WorkspaceId, person: PersonId) -> list[Segment]:
    """The segments that a person is in."""
    return [Segment(**row) for row in await database.rows(SQL["of_person"], workspace, person)]


async def read(database: Database, workspace: WorkspaceId, segment_id: int) -> Segment | None:
    """One segment."""
    row = await database.row(SQL["read"], workspace, segment_id)
    return None if row is None else Segment(**row)


async def delete(database: Database, workspace: WorkspaceId, segment_id: int) -> bool:
    """Delete a segment, and say whether there was one."""
    return await database.value(SQL["delete"], workspace, segment_id) is not None


async def add(connection: Connection, segment_id: int, people: Sequence[PersonId]) -> None:
    """Put people into a segment."""
    await connection.execute(SQL["add"], segment_id, sorted(set(people)))


async def remove(connection: Connection, segment_id: int, people: Sequence[PersonId]) -> None:
    """Take people out of a segment."""
    await connection.execute(SQL["remove"], segment_id, list(people))


async def count(database: Database, segment_id: int) -> int:
    """How many people are in a segment."""
    found: int = await database.value(SQL["count"], segment_id)
    return found


async def members(database: Database, segment_id: int, *, after: int, limit: int) -> list[Member]:
    """The people in a segment whose keys come after this one, in their order."""
    return [Member(**row) for row in await database.rows(SQL["members"], segment_id, after, limit)]
