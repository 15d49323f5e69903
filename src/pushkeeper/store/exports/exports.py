"""The list of exports: what was asked for and by whom, and the text in parts of those that a worker writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pushkeeper.store.audiences import filter_sql
from pushkeeper.store.db.database import PLAN_CHANNEL, columns, storable
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.jobs import ClaimLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.actor import Actor
    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row
    from pushkeeper.store.jobs import Claim

SQL = load_queries(__name__)

Kind = Literal["customers", "deliveries", "devices", "people", "history", "pushes", "members"]
WRITTEN: tuple[Kind, ...] = ("customers", "deliveries")  # by a worker, for Customer.io's API


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export; its state is `pending`, `running`, `done`, `failed` or `cancelled`.

    A streamed export is `interrupted` if it was not updated for a minute: its process ended.

    Attributes:
        asked: a filter, which deliveries, or what is streamed (`services.exports.service.NewExport`).
        actor_kind, actor_name: who made it; None of an export that is older than that was kept.
        attributes: those of people that have a column each; None where none were named.
        failure: why it failed permanently, or what it lacks; `last_error` is that of the last attempt.
    """

    export_id: int
    workspace_id: WorkspaceId
    kind: Kind
    asked: Any
    attributes: list[str] | None
    state: str
    lines: int
    failure: str | None
    last_error: str | None
    attempts: int
    next_attempt_at: datetime
    created_at: datetime
    updated_at: datetime
    actor_kind: str | None
    actor_name: str | None


async def insert(
    database: Database,
    workspace: WorkspaceId,
    kind: Kind,
    asked: object,
    by: Actor,
    attributes: Sequence[str] | None = None,
) -> int:
    """Request an export, wake those who write them, and return its number; what is streamed runs from now on."""
    columns = None if attributes is None else list(attributes)
    state = "pending" if kind in WRITTEN else "running"
    given = (workspace, kind, asked, columns, state, by.kind.value, by.name)
    made: int = await database.of(workspace).value(SQL["insert"], *given)
    if state == "pending":
        await database.of(workspace).rows(f"notify {PLAN_CHANNEL}")
    return made


async def of_workspace(
    database: Database,
    workspace: WorkspaceId,
    only: int | None = None,
    kinds: Sequence[Kind] | None = None,
) -> list[Export]:
    """The last hundred exports of a workspace, or of some kinds, the newest first; or only one of them."""
    rows = await database.of(workspace).rows(SQL["all"], workspace, only, kinds)
    return [Export(**row) for row in rows]


async def note(database: Database, workspace: WorkspaceId, export_id: int, lines: int) -> bool:
    """Say how many lines of an export are streamed; False when it was cancelled."""
    found = await database.of(workspace).value(SQL["note"], workspace, export_id, lines)
    return found is not None


async def end(
    database: Database,
    workspace: WorkspaceId,
    export_id: int,
    *,
    state: str,
    lines: int,
    failure: str | None = None,
) -> None:
    """Say how the stream of an export ended; one that was cancelled stays so."""
    query = SQL["end"]
    await database.of(workspace).change(query, workspace, export_id, state, lines, failure)


async def cancel(database: Database, workspace: WorkspaceId, export_id: int) -> bool:
    """End the stream of an export; False when it does not run."""
    return await database.of(workspace).value(SQL["cancel"], workspace, export_id) is not None


async def claimed(connection: Connection, claim: Claim) -> Export:
    """An export that is claimed, locked until the transaction ends; `ClaimLost` where it is not to be written any more."""
    row = await connection.fetchrow(SQL["claimed"], *claim.row)
    if row is None:
        raise ClaimLost
    return Export(**row)


async def begin(connection: Connection, claim: Claim) -> Export:
    """The export, without its text: an earlier attempt may have left some."""
    export = await claimed(connection, claim)
    await connection.execute(SQL["clear"], claim.workspace_id, claim.item_id)
    return export


async def add_part(connection: Connection, claim: Claim, part: int, text: str) -> None:
    """Write the next part of an export's text."""
    await connection.execute(SQL["add_part"], claim.workspace_id, claim.item_id, part, storable(text))


async def done(database: Database, claim: Claim, lines: int, *, left_out: int = 0) -> None:
    """Mark the export as done, except for this many rows that could not be read."""
    note = f"{left_out:,} rows could not be read and were skipped" if left_out else None
    await database.of(claim.workspace_id).rows(SQL["done"], *claim.row, lines, note)


async def part(database: Database, workspace: WorkspaceId, export_id: int, number: int) -> str | None:
    """One part of an export's text; None after the last."""
    text: str | None = await database.of(workspace).value(SQL["part"], workspace, export_id, number)
    return text


async def people(
    connection: Connection, workspace: WorkspaceId, node: Node, *, after: int, limit: int
) -> list[Row]:
    """People who match a filter and whose keys come after this one, whole, in their order."""
    where = filter_sql.condition(node, first=4, now=datetime.now(UTC))
    query = SQL["people"].replace("{condition}", where.sql)
    found: list[Row] = await connection.fetch(query, workspace, after, limit, *where.parameters)
    return found


async def happened(
    connection: Connection, workspace: WorkspaceId, deliveries: Sequence[DeliveryId]
) -> list[Row]:
    """What happened to these deliveries, when, and to which people; in their order."""
    rows = [(one.message_id, one.person_id) for one in deliveries]
    found: list[Row] = await connection.fetch(SQL["happened"], workspace, *columns(rows, 2))
    return found
