"""A person's activities in Customer.io's App API."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pushkeeper.api import answer, fields
from pushkeeper.api.app_api import person_of, render
from pushkeeper.api.surface import Surface
from pushkeeper.core.identity import cio_id
from pushkeeper.errors import BadRequest
from pushkeeper.store.activities import TYPES, Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.answer import Answer
    from pushkeeper.api.app import Rooms
    from pushkeeper.api.surface import Call
    from pushkeeper.store.activities import Activity
    from pushkeeper.store.people import Person

_PAGE = 10
_LARGEST_PAGE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


def routes(rooms: Rooms) -> Sequence[Route]:
    """The route of activities."""
    surface = Surface(authenticate=rooms.keys.app, render=render)
    return [surface.route("/v1/customers/{id}/activities", GET=_Activities(rooms).of_person)]


class _Activities:
    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def of_person(self, call: Call) -> Answer:
        person = await person_of(self._rooms, call)
        limit, _ = fields.page(call.query("limit"), None, usual=_PAGE, most=_LARGEST_PAGE)
        kind = call.query("type")
        before, before_id = _place(call.query("start"))
        asked = Asked(
            before=before,
            before_id=before_id,
            type=None if kind is None else fields.one_of(kind, "type", TYPES),
            name=call.query("name"),
            limit=limit + 1,
        )
        found = await self._rooms.reporting.activities_of(
            call.workspace.workspace_id, person.person_id, asked
        )
        page = found[:limit]
        return answer.of_json(
            {
                "activities": [activity_json(activity, person) for activity in page],
                "next": _next(page[-1]) if len(found) > limit else "",
            }
        )


def activity_json(activity: Activity, person: Person) -> dict[str, Any]:
    """One activity as Customer.io shows it, with the name that an event has."""
    delivery = activity.delivery_id
    return {
        "id": activity.id,
        "type": activity.type,
        "name": activity.name,
        "timestamp": int(activity.at.timestamp()),
        "data": activity.data,
        "customer_id": person.id,
        "customer_identifiers": {"id": person.id, "email": person.email, "cio_id": cio_id(person.person_id)},
        "delivery_id": None if delivery is None else str(delivery),
        "delivery_type": None if delivery is None else "push",
    }


def _next(last: Activity) -> str:
    return urlsafe_b64encode(f"{(last.at - _EPOCH) // _MICROSECOND} {last.id}".encode()).decode()


def _place(start: str | None) -> tuple[datetime, str]:
    """The time and id that a page goes on after: a `next` of ours that was given back as `start`."""
    if not start:
        return _LAST, ""
    try:
        microseconds, _, last_id = b64decode(start, altchars=b"-_", validate=True).decode().partition(" ")
        return _EPOCH + int(microseconds) * _MICROSECOND, last_id
    except (ValueError, OverflowError):
        raise BadRequest("start", "start: expected the `next` of an answer") from None
