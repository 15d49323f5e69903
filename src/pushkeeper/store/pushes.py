"""Pushes: one message at one device, written once, when what came of it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId, message_day
from pushkeeper.store.database import columns, load_queries, storable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from pushkeeper.store.database import Connection

SQL = load_queries("pushes")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRow:
    """What came of one push.

    Attributes:
        generation: of the device it was sent to; None when the device was gone.
        ending: accepted, bounced, failed, expired, unknown or skipped.
        reason: the row of the decision table that ruled, or why it was skipped.
        provider: who answered, with its own status, reason, id and words; None when nothing was sent.
        attempts: requests made for it.
    """

    message_id: UUID
    device_id: DeviceId
    workspace_id: WorkspaceId
    person_id: PersonId
    generation: int | None
    ending: str
    reason: str
    provider: str | None = None
    provider_status: int | None = None
    provider_reason: str | None = None
    provider_id: str | None = None
    detail: str | None = None
    attempts: int = 0


async def insert(connection: Connection, rows: Sequence[PushRow]) -> set[tuple[UUID, DeviceId]]:
    """Write what came of pushes and return which were not known yet."""
    if not rows:
        return set()
    values = [
        (
            message_day(r.message_id),
            r.message_id,
            r.device_id,
            r.workspace_id,
            r.person_id,
            r.generation,
            r.ending,
            r.reason,
            r.provider,
            r.provider_status,
            r.provider_reason and storable(r.provider_reason),
            r.provider_id and storable(r.provider_id),
            r.detail and storable(r.detail),
            r.attempts,
        )
        for r in rows
    ]
    written = await connection.fetch(SQL["insert"], *columns(values, 14))
    return {(row["message_id"], row["device_id"]) for row in written}
