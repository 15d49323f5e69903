"""Rejections on hold: a wrong setting may have caused them; kept until an operator applies or discards them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.store import webhooks
from pushkeeper.store.db.database import columns, storable
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.delivery import pushes
from pushkeeper.store.delivery.pushes import PushRow
from pushkeeper.store.devices import devices
from pushkeeper.store.devices.devices import SettleEvent, Settlement
from pushkeeper.store.webhooks import FailedAttempt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.model import DeviceId, PersonId, RouteId, RouteKey, WorkspaceId
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

UNPROVEN = "unproven"  # the route had accepted nothing since its settings last changed
GUARD = "guard"  # it came in a wave of refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldVerdict:
    """A refusal that is not believed yet, with all that applying it or sending again takes.

    `reason` is the reason code, `attempt` how many were charged before.
    """

    message_id: UUID
    device_id: DeviceId
    workspace_id: WorkspaceId
    route_id: RouteId
    person_id: PersonId
    generation: int
    why: str
    priority: int
    attempt: int
    first_attempt_at: datetime
    reason: str
    provider: str
    provider_status: int | None
    provider_reason: str
    detail: str | None


async def hold(connection: Connection, held: Sequence[HeldVerdict]) -> None:
    """Keep refusals aside; those of a route that has meanwhile proved itself are applied at once."""
    rows = [
        (
            v.message_id,
            v.device_id,
            v.workspace_id,
            v.route_id,
            v.person_id,
            v.generation,
            v.why,
            v.priority,
            v.attempt,
            v.first_attempt_at,
            v.reason,
            v.provider,
            v.provider_status,
            storable(v.provider_reason),
            v.detail and storable(v.detail),
        )
        for v in held
    ]
    await connection.execute(SQL["hold"], *columns(rows, 15))
    unproven = {(v.workspace_id, v.route_id) for v in held if v.why == UNPROVEN}
    if unproven:
        found = await connection.fetch(SQL["still_unproven"], *columns(sorted(unproven), 2))
        still = {row["route_id"] for row in found}
        proved = {(workspace, route) for workspace, route in unproven if route not in still}
        while await apply(connection, sorted(proved), (UNPROVEN,)):
            pass


async def apply(
    connection: Connection, chosen: Sequence[RouteKey], why: Sequence[str], *, limit: int = 1_000
) -> int:
    """Believe up to so many verdicts: each push bounced, and is a strike; returns how many there were."""
    taken = await _take(connection, chosen, why, limit)
    new = await pushes.insert(connection, [_bounced(verdict) for verdict in taken])
    strikes = [_strike(verdict) for verdict in taken if (verdict.message_id, verdict.device_id) in new]
    if strikes:
        await devices.settle(connection, strikes)
    return len(taken)


async def discard(
    connection: Connection, chosen: Sequence[RouteKey], why: Sequence[str], *, limit: int = 1_000
) -> int:
    """Drop up to so many verdicts: no strike, and each push is sent again; returns how many there were."""
    taken = await _take(connection, chosen, why, limit)
    rows = [
        (
            v.workspace_id,
            v.message_id,
            v.priority,
            v.attempt,
            v.first_attempt_at,
            v.device_id,
            v.person_id,
            v.route_id,
        )
        for v in taken
    ]
    if rows:
        await connection.execute(SQL["send_again"], *columns(rows, 8))
        await webhooks.report_attempts(connection, [_failed_attempt(verdict) for verdict in taken])
    return len(taken)


async def _take(
    connection: Connection, chosen: Sequence[RouteKey], why: Sequence[str], limit: int
) -> list[HeldVerdict]:
    if not chosen:
        return []
    rows = await connection.fetch(SQL["take"], *columns(chosen, 2), list(why), limit)
    return [HeldVerdict(**row) for row in rows]


def _bounced(verdict: HeldVerdict) -> PushRow:
    return PushRow(
        message_id=verdict.message_id,
        device_id=verdict.device_id,
        workspace_id=verdict.workspace_id,
        person_id=verdict.person_id,
        generation=verdict.generation,
        ending="bounced",
        reason=verdict.reason,
        provider=verdict.provider,
        provider_status=verdict.provider_status,
        provider_reason=verdict.provider_reason,
        detail=verdict.detail,
        attempts=verdict.attempt + 1,
        route_id=verdict.route_id,
    )


def _failed_attempt(verdict: HeldVerdict) -> FailedAttempt:
    return FailedAttempt(
        workspace_id=verdict.workspace_id,
        message_id=verdict.message_id,
        person_id=verdict.person_id,
        reason=verdict.reason,
        provider_status=verdict.provider_status,
        provider_reason=verdict.provider_reason,
        detail=verdict.detail,
    )


def _strike(verdict: HeldVerdict) -> Settlement:
    return Settlement(
        workspace_id=verdict.workspace_id,
        device_id=verdict.device_id,
        generation=verdict.generation,
        event=SettleEvent.REFUSED,
        message_id=verdict.message_id,
        provider=verdict.provider,
        provider_status=verdict.provider_status,
        provider_reason=verdict.provider_reason,
        route_id=verdict.route_id,
    )
