"""Reports: what the app reported about a push, once for each delivery, device and metric."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from pushkeeper.core.model import PersonId, Token, WorkspaceId
from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)


class AppMetric(StrEnum):
    """The metrics that an app can report."""

    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    CONVERTED = "converted"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one delivery, at the device of this token where one is named.

    `authenticated`: the delivery was named by an id that only its recipient can know; `href` is the link that was
    followed, `action` names the push's button that was used.
    """

    workspace_id: WorkspaceId
    message_id: UUID
    person_id: PersonId
    authenticated: bool
    metric: AppMetric
    reported_at: datetime
    token: Token | None = None
    href: str | None = None
    action: str | None = None


async def insert(database: Database, reports: Sequence[Report]) -> None:
    """Write what is new among reports of pushes that were sent."""
    rows = [
        (
            report.workspace_id,
            report.message_id,
            report.person_id,
            "" if report.token is None else report.token.value,
            report.metric.value,
            report.reported_at,
            report.href,
            report.action,
            report.authenticated,
        )
        for report in reports
    ]
    await database.change(SQL["insert"], *columns(rows, 9))


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """When a metric of a delivery was first reported, and the buttons that were used."""

    metric: AppMetric
    at: datetime
    actions: list[str]


async def firsts(database: Database, delivery_id: DeliveryId) -> list[Reported]:
    """The reports of a delivery, by metric."""
    one = delivery_id
    rows = await database.of(one.workspace_id).rows(
        SQL["firsts"], one.workspace_id, one.message_id, one.person_id
    )
    return [Reported(metric=AppMetric(row["metric"]), at=row["at"], actions=row["actions"]) for row in rows]


async def sender(database: Database, message_id: UUID) -> tuple[WorkspaceId, PersonId | None] | None:
    """The workspace of a message, and its recipient if it went to one person; None if it does not exist."""
    row = await database.row(SQL["sender"], message_id)
    return None if row is None else (row["workspace_id"], row["person_id"])
