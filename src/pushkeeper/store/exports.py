"""Exports: what was asked for, and the text of it in parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pushkeeper.core import filter_sql
from pushkeeper.store.database import columns, load_queries, storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.delivery_id import DeliveryId
    from pushkeeper.core.filter import Node
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.database import Connection, Database, Row

SQL = load_queries("exports")

Kind = Literal["customers", "deliveries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export, and how it stands: `pending`, `done` or `failed`."""

    export_id: int
    workspace_id: WorkspaceId
    kind: Kind
    asked: Any
    state: str
    lines: int
    failure: str | None
    created_at: datetime
    updated_at: datetime


async def insert(database: Database, workspace: WorkspaceId, kind: Kind, asked: object) -> int:
    """Ask for an export, and return its number."""
    made: int = await database.of(workspace).value(SQL["insert"], workspace, kind, asked)
    return made


async def of_workspace(database: Database, workspace: WorkspaceId, only: int | None = None) -> list[Export]:
    """The last hundred exports of a workspace, the newest first; or only one of them."""
    return [Export(**row) for row in await database.of(workspace).rows(SQL["all"], workspace, only)]


async def next_to_write(connection: Connection) -> Export | None:
    """An export to be written, which nobody else gets until the transaction ends."""
    row = await connection.fetchrow(SQL["next"])
    return None if row is None else Export(**row)


async def add_part(
    connection: Connection, workspace: WorkspaceId, export_id: int, part: int, text: str
) -> None:
    """Write the next part of an export's text."""
    await connection.execute(SQL["add_part"], workspace, export_id, part, storable(text))


async def done(connection: Connection, workspace: WorkspaceId, export_id: int, lines: int) -> None:
    """All of it is written."""
    await connection.execute(SQL["done"], workspace, export_id, lines)


async def failed(connection: Connection, workspace: WorkspaceId, export_id: int, failure: str) -> None:
    """It cannot be written, and why."""
    await connection.execute(SQL["failed"], workspace, export_id, storable(failure))


async def part(database: Database, workspace: WorkspaceId, export_id: int, number: int) -> str | None:
    """One part of an export's text; None after the last."""
    text: str | None = await database.of(workspace).value(SQL["part"], workspace, export_id, number)
    return text


async def people(
    connection: Connection, workspace: WorkspaceId, node: Node, *, after: int, limit: int
) -> list[Row]:
    """The people of whom a filter is true and whose keys come after this one, whole, in their order."""
    where = filter_sql.condition(node, first=4, now=datetime.now(UTC))
    query = SQL["people"].replace("{condition}", where.sql)
    found: list[Row] = await connection.fetch(query, workspace, after, limit, *where.parameters)
    return found


async def happened(
    connection: Connection, workspace: WorkspaceId, deliveries: Sequence[DeliveryId]
) -> list[Row]:
    """What happened to these deliveries, and when, and to whom they went; in their order."""
    rows = [(one.message_id, one.person_id) for one in deliveries]
    found: list[Row] = await connection.fetch(SQL["happened"], workspace, *columns(rows, 2))
    return found
