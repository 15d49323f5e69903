"""Activities: what a person did and what happened to them, from all the places that know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Row

SQL = load_queries(__name__)

# The types of activities that each source has.
_SOURCES = {
    SQL["feed_of_events"]: ("event", "page", "screen"),
    SQL["feed_of_failures"]: ("failed_attribute_change",),
    SQL["feed_of_devices"]: ("device_change",),
    SQL["feed_of_pushes"]: ("sent_push", "bounced_push", "dropped_push", "failed_push", "undeliverable_push"),
    SQL["feed_of_reports"]: ("delivered_push", "opened_push", "clicked_push", "converted_push"),
    SQL["feed_of_people"]: ("profile_create",),
}
TYPES = tuple(one for types in _SOURCES.values() for one in types)
_NAMED = {SQL["feed_of_events"], SQL["feed_of_failures"]}  # the sources that can be filtered by name
_LOOKED_AT = 10_000  # rows of each source, for one page


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
class ActivitiesPage:
    """A page of activities before a time and ID, optionally of one type or name."""

    before: datetime
    before_id: str
    type: str | None
    name: str | None
    limit: int


async def of_person(
    database: Database, workspace: WorkspaceId, person: PersonId, asked: ActivitiesPage
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
    return [_activity(database, workspace, row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A page of a workspace's activities.

    Attributes:
        activities: each with the person that it belongs to now, None if they were deleted.
        following: the time and id before which the next page begins; None: it is the last. A page that scanned many
            activities of other kinds may be shorter than its limit, and still not the last.
    """

    activities: list[tuple[Activity, PersonId | None]]
    following: tuple[datetime, str] | None


async def of_workspace(
    database: Database, workspace: WorkspaceId, asked: ActivitiesPage, *, deleted: bool
) -> Feed:
    """What happened to the people of a workspace, in the order in which it was written, newest first.

    `deleted` includes the activities of deleted people.
    """
    sources = [
        source
        for source, types in _SOURCES.items()
        if (asked.type is None or asked.type in types) and (asked.name is None or source in _NAMED)
    ]
    found, reached = [], None
    for source in sources:
        rows = await database.of(workspace).rows(
            SQL["feed"].replace("{source}", source.removesuffix(";")),
            workspace,
            asked.before,
            asked.before_id,
            asked.type,
            asked.name,
            deleted,
            _LOOKED_AT,
            asked.limit + 1,
        )
        for row in rows:
            if row["place"] == _LOOKED_AT:
                # This source was read no further: activities of other sources beyond it are left to the next page.
                reached = max(filter(None, (reached, _place(row))))
            if _is_wanted(row, asked, deleted=deleted):
                found.append(row)
    found = [row for row in found if reached is None or _place(row) >= reached]
    found.sort(key=_place, reverse=True)
    page = found[: asked.limit]
    following = _place(page[-1]) if len(found) > asked.limit else reached
    return Feed(
        activities=[(_activity(database, workspace, row), row["owner_id"]) for row in page],
        following=following,
    )


def _place(row: Row) -> tuple[datetime, str]:
    return row["recorded_at"], row["id"]


def _is_wanted(row: Row, asked: ActivitiesPage, *, deleted: bool) -> bool:
    """Whether a row matches: the last row that a source read is returned even if it does not."""
    return (
        asked.type in {None, row["type"]}
        and asked.name in {None, row["name"]}
        and (deleted or row["owner_id"] is not None)
    )


def _activity(database: Database, workspace: WorkspaceId, row: Row) -> Activity:
    message, person = row["message_id"], row["person_id"]
    return Activity(
        id=row["id"],
        type=row["type"],
        name=row["name"],
        data=row["data"],
        at=row["at"],
        message_id=message,
        person_id=person,
        delivery_id=None if message is None else database.delivery_ids.of(workspace, message, person),
    )
