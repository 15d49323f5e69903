"""Reports: what the app itself told of a push, once for each delivery, device and metric."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from pushkeeper.core.model import PersonId, Token, WorkspaceId
from pushkeeper.store.database import columns, load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import DeliveryId
    from pushkeeper.store.database import Connection, Database

SQL = load_queries("reports")


class AppMetric(StrEnum):
    """What an app can tell of a push."""

    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    CONVERTED = "converted"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one delivery, at the device of this token where one is named."""

    message_id: UUID
    person_id: PersonId
    metric: AppMetric
    reported_at: datetime
    token: Token | None = None
    href: str | None = None


async def insert(connection: Connection, reports: Sequence[Report]) -> None:
    """Write what is new among reports of pushes that were sent."""
    rows = [
        (
            report.message_id,
            report.person_id,
            "" if report.token is None else report.token.value,
            report.metric.value,
            report.reported_at,
            report.href,
        )
        for report in reports
    ]
    await connection.execute(SQL["insert"], *columns(rows, 6))


async def firsts(database: Database, delivery_id: DeliveryId) -> dict[AppMetric, datetime]:
    """When each metric of a delivery was first told of."""
    rows = await database.rows(SQL["firsts"], delivery_id.message_id, delivery_id.person_id)
    return {AppMetric(row["metric"]): row["at"] for row in rows}


async def workspace_of(database: Database, delivery_id: DeliveryId) -> WorkspaceId | None:
    """Which workspace sent this, if any did."""
    found = await database.value(SQL["workspace"], delivery_id.message_id, delivery_id.person_id)
    return None if found is None else WorkspaceId(found)
