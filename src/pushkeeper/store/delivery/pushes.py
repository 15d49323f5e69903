"""Pushes: one message to one device, written once, with its outcome."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from pushkeeper.core.model import DeviceId, PersonId, RouteId, WorkspaceId, message_day
from pushkeeper.store.db.database import columns, storable
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)


class PushRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The outcome of one push.

    Attributes:
        generation: of the device it was sent to; None when the device was deleted.
        ending: accepted, bounced, failed, expired, unknown or skipped.
        reason: the reason code (`core/delivery/reason_codes.py`); "" of an accepted push, whose code is its provider's.
        route_id: None when nothing was sent.
        provider: with its status, reason, ID and message; None when nothing was sent.
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
    route_id: RouteId | None = None


async def insert(connection: Connection, rows: Sequence[PushRow]) -> set[tuple[UUID, DeviceId]]:
    """Write outcomes of pushes and return the new ones."""
    if not rows:
        return set()
    values = [
        (
            _day_of(r.message_id),
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
            r.route_id,
        )
        for r in rows
    ]
    given = columns(values, 15)
    # As a rule all are new, and then nobody has to be told which.
    if await connection.execute(SQL["insert"], *given) == f"INSERT 0 {len(rows)}":
        return {(row.message_id, row.device_id) for row in rows}
    written = await connection.fetch(SQL["written_now"], *given[:4])
    return {(row["message_id"], row["device_id"]) for row in written}


# A slice is of few messages.
_day_of = lru_cache(maxsize=1_024)(message_day)
