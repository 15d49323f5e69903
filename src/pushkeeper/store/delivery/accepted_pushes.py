"""Acceptances: pushes that a provider accepted, each a row and, as a rule, a device that becomes `sent`.

Nearly every push ends here, so this is one statement: shared values are passed once, and a device whose state stays
the same is neither locked nor written.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pushkeeper.core.model import DeviceId, PersonId, RouteId, WorkspaceId, message_day
from pushkeeper.store.db.database import columns, storable
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)


class AcceptanceGroup(NamedTuple):
    """What many accepted pushes share."""

    message_id: UUID
    workspace_id: WorkspaceId
    provider: str
    provider_status: int | None
    provider_reason: str
    attempts: int
    route_id: RouteId


class Acceptance(msgspec.Struct, frozen=True, gc=False):
    """One accepted push; `provider_id` is the provider's own name for it."""

    kind: AcceptanceGroup
    device_id: DeviceId
    person_id: PersonId
    generation: int
    provider_id: str


async def settle(connection: Connection, accepted: Sequence[Acceptance]) -> set[tuple[UUID, DeviceId]]:
    """Write accepted pushes that are not recorded yet, and mark their unused devices as sent.

    Returns those whose device is in another state: `devices.settle` handles them.
    """
    kinds: dict[AcceptanceGroup, int] = {}
    # In the order of devices, as everybody who locks several takes them.
    rows = sorted(
        (
            a.device_id,
            a.person_id,
            a.generation,
            storable(a.provider_id),
            kinds.setdefault(a.kind, len(kinds) + 1),
        )
        for a in accepted
    )
    shared = [(_day_of(kind.message_id), *kind) for kind in kinds]
    left = await connection.fetch(SQL["settle"], *columns(rows, 5), *columns(shared, 8))
    return {(row["message_id"], row["device_id"]) for row in left}


# A slice is of few messages.
_day_of = lru_cache(maxsize=1_024)(message_day)
