"""Segments: people put together by hand, and saved audiences, which are filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pushkeeper.core.filters import from_text
from pushkeeper.core.filters import saved as filter_saved
from pushkeeper.core.filters.nodes import BadFilter, Unit
from pushkeeper.core.filters.saved import Definition
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.people.people import Member

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row

SQL = load_queries(__name__)

_BROADCASTS = 500

Fetch: TypeAlias = "Callable[..., Awaitable[Sequence[Row]]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment; with a filter (a tree, or text) it is a saved audience, evaluated per device or per person as `unit` says."""

    segment_id: int
    name: str
    description: str
    filter: Any
    unit: Unit | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The new definition of a segment."""

    name: str
    description: str = ""
    filter: Any = None
    unit: Unit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What names a segment: an audience, a template or a broadcast."""

    kind: str
    number: int
    name: str


async def insert(connection: Connection, workspace: WorkspaceId, draft: Draft) -> Segment:
    """Make a segment, which is empty where it has no filter."""
    row = await connection.fetchrow(SQL["insert"], workspace, *_columns(draft))
    assert row is not None  # noqa: S101 - an insert returns its row
    return _segment(row)


async def change(
    connection: Connection, workspace: WorkspaceId, segment_id: int, draft: Draft
) -> Segment | None:
    """Replace a saved audience; None if it does not exist."""
    row = await connection.fetchrow(SQL["change"], workspace, segment_id, *_columns(draft))
    return None if row is None else _segment(row)


async def lock(connection: Connection, workspace: WorkspaceId) -> None:
    """Lock the segments of a workspace until the transaction ends."""
    await connection.execute(SQL["lock"], workspace)


async def saved(fetch: Fetch, workspace: WorkspaceId) -> dict[int, Definition]:
    """The saved audiences of a workspace; BadFilter when one that is stored is no filter any more.

    `fetch` is a database's `rows`, or a connection's `fetch`.
    """
    return {number: definition(number, one) for number, one in (await kept(fetch, workspace)).items()}


async def kept(fetch: Fetch, workspace: WorkspaceId) -> dict[int, dict[str, Any]]:
    """The saved audiences of a workspace in stored form: each its `filter`, and its `unit`."""
    rows = await fetch(SQL["saved"], workspace)
    return {row["segment_id"]: {"filter": row["filter"], "unit": row["unit"]} for row in rows}


def definition(segment_id: int, kept_as: Mapping[str, Any]) -> Definition:
    """What a saved audience is, by what is kept of it; BadFilter when that is no filter any more."""
    try:
        return Definition(Unit(kept_as["unit"]), from_text.read(kept_as["filter"]))
    except BadFilter as error:
        raise BadFilter(f"segment {segment_id}", error.message) from None


async def expanded(fetch: Fetch, workspace: WorkspaceId, node: Node, place: str = "filter") -> Node:
    """A filter with the saved audiences that it names inserted, as they are now; BadFilter if it grows too large."""
    if not filter_saved.named(node):
        return node
    return filter_saved.expanded(node, await saved(fetch, workspace), place)


async def ids(fetch: Fetch, workspace: WorkspaceId) -> set[int]:
    """The numbers of a workspace's segments."""
    return {row["segment_id"] for row in await fetch(SQL["ids"], workspace)}


async def templates_naming(fetch: Fetch, workspace: WorkspaceId, segment_id: int) -> list[int]:
    """The templates whose audience names this segment."""
    return [row["number"] for row in await fetch(SQL["of_templates"], workspace) if segment_id in _named(row)]


async def uses(fetch: Fetch, workspace: WorkspaceId) -> dict[int, list[Use]]:
    """Which audiences, templates and broadcasts (of these the newest) name each segment."""
    found: dict[int, list[Use]] = {}
    asked = {
        "audience": await fetch(SQL["of_audiences"], workspace),
        "template": await fetch(SQL["of_templates"], workspace),
        "broadcast": await fetch(SQL["of_broadcasts"], workspace, _BROADCASTS),
    }
    for kind, rows in asked.items():
        for row in rows:
            for number in sorted(_named(row)):
                found.setdefault(number, []).append(Use(kind=kind, number=row["number"], name=row["name"]))
    return found


def _named(row: Row) -> frozenset[int]:
    """The segments that an audience names; of what is no filter any more, none."""
    try:
        return filter_saved.named(from_text.read(row["audience"]))
    except BadFilter:
        return frozenset()


def _columns(draft: Draft) -> tuple[object, ...]:
    return draft.name, draft.description, draft.filter, draft.unit


def _segment(row: Row) -> Segment:
    return Segment(**{**row, "unit": row["unit"] and Unit(row["unit"])})


async def of_workspace(database: Database, workspace: WorkspaceId) -> list[Segment]:
    """All segments, the oldest first."""
    rows = await database.of(workspace).rows(SQL["all"], workspace)
    return database.readable(rows, _segment, table="segments", key="segment_id", workspace=workspace)


async def of_person(database: Database, workspace: WorkspaceId, person: PersonId) -> list[Segment]:
    """The segments that a person was put into."""
    rows = await database.of(workspace).rows(SQL["of_person"], workspace, person)
    return database.readable(rows, _segment, table="segments", key="segment_id", workspace=workspace)


async def read(database: Database, workspace: WorkspaceId, segment_id: int) -> Segment | None:
    """One segment."""
    row = await database.of(workspace).row(SQL["read"], workspace, segment_id)
    return None if row is None else _segment(row)


async def delete(connection: Connection, workspace: WorkspaceId, segment_id: int) -> bool:
    """Delete a segment, and say whether there was one."""
    return await connection.fetchval(SQL["delete"], workspace, segment_id) is not None


async def add(
    connection: Connection, workspace: WorkspaceId, segment_id: int, people: Sequence[PersonId]
) -> None:
    """Put people into a segment."""
    await connection.execute(SQL["add"], workspace, segment_id, sorted(set(people)))


async def remove(
    connection: Connection, workspace: WorkspaceId, segment_id: int, people: Sequence[PersonId]
) -> None:
    """Take people out of a segment."""
    await connection.execute(SQL["remove"], workspace, segment_id, list(people))


async def count(database: Database, workspace: WorkspaceId, segment_id: int) -> int:
    """How many people are in a segment."""
    found: int = await database.of(workspace).value(SQL["count"], workspace, segment_id)
    return found


async def members(
    database: Database, workspace: WorkspaceId, segment_id: int, *, after: int, limit: int
) -> list[Member]:
    """The people in a segment whose keys come after this one, in their order."""
    rows = await database.of(workspace).rows(SQL["members"], workspace, segment_id, after, limit)
    return [Member(**row) for row in rows]
