"""Messages as one pages through them, the newest first; and the deliveries of one that went to many."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from pushkeeper.core.model import PersonId, message_day
from pushkeeper.store.db import pagination
from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.messages import messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Row

SQL = load_queries(__name__)

BROADCAST = "broadcast"
_EVER, _SOON = datetime(2000, 1, 1, tzinfo=UTC), timedelta(minutes=1)
FIRST = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMessage:
    """A message: to one person, with its outcome; or to many.

    Attributes:
        metrics: counts of its pushes by outcome, for a message to one person.
        devices: planned devices, of a message to many.
        delivery_id: of a message to one person.
    """

    delivery_id: DeliveryId | None
    message_id: UUID
    kind: str
    title: str
    created_at: datetime
    send_at: datetime
    template_id: int | None
    drafted: bool
    person_id: PersonId | None
    id: str | None
    email: str | None
    metrics: dict[str, int]
    broadcast_id: int | None
    devices: int | None
    waiting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDelivery:
    """One device's push of a message that went to many, with whose it is."""

    delivery_id: DeliveryId
    message_id: UUID
    person_id: PersonId
    device_id: bytes
    platform: str | None
    ending: str
    reason: str
    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    settled_at: datetime
    id: str | None
    email: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDelivery:
    """A delivery to one person: its content, and counts of its pushes by outcome."""

    delivery_id: DeliveryId
    message_id: UUID
    person_id: PersonId
    kind: str
    title: str
    created_at: datetime
    metrics: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesFilter:
    """A filter of messages; None is no condition.

    Attributes:
        metric: at least one push of the message has it.
        kind: `transactional`, to one person, or `broadcast`, to many.
    """

    metric: str | None = None
    kind: str | None = None
    template_id: int | None = None
    until: datetime | None = None


async def page(
    database: Database, workspace: WorkspaceId, wanted: MessagesFilter, *, after: UUID, limit: int
) -> pagination.Page[ShownMessage, UUID]:
    """Messages that are so, after one of them."""
    asked = (wanted.metric, wanted.template_id, wanted.until)
    searching = wanted.kind is not None or any(one is not None for one in asked)

    async def read(at: UUID, rows: int, look: int) -> tuple[Sequence[ShownMessage], UUID | None]:
        bound: UUID | None = (
            await database.of(workspace).value(SQL["bound"], workspace, at, look) if searching else None
        )
        found = await database.of(workspace).rows_with_custom_plan(
            SQL["page"], workspace, at, bound, rows, wanted.kind, *asked
        )
        some = [_message(database, workspace, row) for row in found]
        return some, some[-1].message_id if len(some) == rows else bound

    if wanted.kind == BROADCAST:
        return await _to_many(database, workspace, wanted, after=after, limit=limit)
    return await pagination.filled(read, after, limit)


async def _to_many(
    database: Database, workspace: WorkspaceId, wanted: MessagesFilter, *, after: UUID, limit: int
) -> pagination.Page[ShownMessage, UUID]:
    """Those to many are few, and have a table of their own by which they are found."""
    found = await database.of(workspace).rows_with_custom_plan(
        SQL["to_many"], workspace, after, limit, wanted.template_id, wanted.until, wanted.metric
    )
    some = [_message(database, workspace, row) for row in found]
    return pagination.Page(some, some[-1].message_id if len(some) == limit else None, whole=True)


async def of_person(
    database: Database, workspace: WorkspaceId, person: PersonId, *, before: UUID, limit: int
) -> list[OwnDelivery]:
    """The deliveries of a person, and of those who were merged into them, before a message, the newest first."""
    page = messages.Page(before=before, since=_EVER, until=datetime.now(UTC) + _SOON, limit=limit)
    found = await messages.of_person(database, workspace, person, page)
    rows = [(one.message_id, one.person_id) for one in found]
    shown = await database.of(workspace).rows(SQL["own"], workspace, *columns(rows, 2))
    return [OwnDelivery(**row, delivery_id=_delivery(database, workspace, row)) for row in shown]


async def message(database: Database, workspace: WorkspaceId, message_id: UUID) -> ShownMessage | None:
    """One message."""
    row = await database.of(workspace).row(SQL["message"], workspace, message_id)
    return None if row is None else _message(database, workspace, row)


def _message(database: Database, workspace: WorkspaceId, row: Row) -> ShownMessage:
    delivery = None if row["person_id"] is None else _delivery(database, workspace, row)
    return ShownMessage(**row, delivery_id=delivery)


def _delivery(database: Database, workspace: WorkspaceId, row: Row) -> DeliveryId:
    return database.delivery_ids.of(workspace, row["message_id"], PersonId(row["person_id"]))


async def of_message(
    database: Database,
    workspace: WorkspaceId,
    message_id: UUID,
    ending: str | None,
    *,
    after: bytes,
    limit: int,
) -> pagination.Page[ShownDelivery, bytes]:
    """The pushes of a message that ended so, by their devices' keys."""
    day = message_day(message_id)
    by_pieces = ending == "accepted"  # an index finds the others

    async def read(at: bytes, rows: int, look: int) -> tuple[Sequence[ShownDelivery], bytes | None]:
        bound: bytes | None = (
            await database.of(workspace).value(SQL["bound_of_message"], workspace, day, message_id, at, look)
            if by_pieces
            else None
        )
        found = await database.of(workspace).rows_with_custom_plan(
            SQL["of_message"], workspace, day, message_id, at, bound, rows, ending
        )
        some = [ShownDelivery(**row, delivery_id=_delivery(database, workspace, row)) for row in found]
        return some, some[-1].device_id if len(some) == rows else bound

    return await pagination.filled(read, after, limit)
