"""Activities: what a person did and what happened to them, from all the places that know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.store.database import load_queries

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.delivery_id import DeliveryId
    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.database import Database

SQL = load_queries("activities")

TYPES = (
    *("event", "page", "screen", "device_change", "profile_create", "failed_attribute_change"),
    *("sent_push", "bounced_push", "dropped_push", "failed_push", "undeliverable_push"),
    *("delivered_push", "opened_push", "clicked_push", "converted_push"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One thing that a person did, or that happened to them; `delivery_id` is of the push that it is about, if it is."""

    id: str
    type: str
    name: str | None
    data: dict[str, Any]
    at: datetime
    message_id: UUID | None
    person_id: PersonId
    delivery_id: DeliveryId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A page of activities before a time and id, of one type or name where that is said."""

    before: datetime
    before_id: str
    type: str | None
    name: str | None
    limit: int


async def of_person(
    database: Database, workspace: WorkspaceId, person: PersonId, asked: Asked
) -> list[Activity]:
    """What a person did and what happened to them, the newest first."""
    rows = await database.of(workspace).rows(
        SQL["of_person"],
        workspace,
        person,
        asked.before,
        asked.before_id,
        asked.type,
        asked.name,
        asked.limit,
    )
    ids = database.delivery_ids
    return [
        Activity(
            **row,
            delivery_id=None
            if row["message_id"] is None
            else ids.of(workspace, row["message_id"], row["person_id"]),
        )
        for row in rows
    ]
