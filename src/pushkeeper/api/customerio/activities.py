"""Activities in Customer.io's App API: of one person, and of all of a workspace."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pushkeeper.api.customerio.app_api import person_named, person_of, render
from pushkeeper.api.style import ApiStyle
from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.services import validation
from pushkeeper.services.reports.deliveries import ACTIVITY_TYPES as TYPES
from pushkeeper.services.reports.deliveries import ActivitiesPage
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.people import Person
    from pushkeeper.services.reports.deliveries import Activity
    from pushkeeper.web.response import Response

_PAGE = 10
_LARGEST_PAGE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Types that Customer.io documents.
THEIRS = frozenset(
    f"{metric}_{channel}"
    for metric in (
        *("attempted", "bounced", "clicked", "converted", "deferred", "delivered", "drafted", "dropped"),
        *("failed", "opened", "sent", "spammed", "suppressed", "undeliverable", "unsubscribed", "viewed"),
    )
    for channel in (
        *("action", "content", "email", "in_app", "push", "slack", "twilio", "webhook", "whatsapp"),
    )
) | {
    *("add_relationship", "anon_merge", "attribute_change", "delete_relationship", "failed_attribute_change"),
    *("failed_batch_update", "failed_event", "failed_object_journeys", "failed_query_collection"),
    *("profile_delete", "profile_merge", "relationship_attribute_change", "skipped_update"),
    *("relationship_failed_attribute_change", "topic_unsubscribed_email", "webhook_event"),
}
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


def routes(context: Context) -> Sequence[Route]:
    """The routes of activities."""
    activities = _Activities(context)
    surface = ApiStyle(name="app_api", authenticate=context.keys.app, render=render)
    return [
        surface.route("/v1/customers/{id}/activities", GET=activities.of_person),
        surface.route("/v1/activities", GET=activities.all),
    ]


class _Activities:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def of_person(self, call: Call) -> Response:
        asked = _asked(call)
        return await self._of(call, await person_of(self._context, call), asked)

    async def all(self, call: Call) -> Response:
        asked, named = _asked(call), call.query("customer_id")
        if named:
            try:
                return await self._of(call, await person_named(self._context, call, named), asked)
            except NotFound:
                return response.of_json({"activities": [], "next": ""})
        if asked is None:
            return response.of_json({"activities": [], "next": ""})
        workspace = call.workspace_id
        deleted = (call.query("deleted") or "").lower() == "true"
        feed = await self._context.services.deliveries.feed(workspace, asked, deleted=deleted)
        owners = sorted({owner for _, owner in feed.activities if owner is not None})
        known = {
            person.person_id: person
            for person in await self._context.services.people.people(
                workspace, [Identifier(IdentifierKind.CIO_ID, cio_id(owner)) for owner in owners]
            )
        }
        shown = [
            activity_json(activity, None if owner is None else known.get(owner))
            for activity, owner in feed.activities
        ]
        following = "" if feed.following is None else _next(*feed.following)
        return response.of_json({"activities": shown, "next": following})

    async def _of(self, call: Call, person: Person, asked: ActivitiesPage | None) -> Response:
        if asked is None:
            return response.of_json({"activities": [], "next": ""})
        one_more = replace(asked, limit=asked.limit + 1)
        found = await self._context.services.deliveries.activities_of(
            call.workspace_id, person.person_id, one_more
        )
        page = found[: asked.limit]
        return response.of_json(
            {
                "activities": [activity_json(activity, person) for activity in page],
                "next": _next(page[-1].at, page[-1].id) if len(found) > asked.limit else "",
            }
        )


def activity_json(activity: Activity, person: Person | None) -> dict[str, Any]:
    """One activity as Customer.io shows it, with the name that an event has; the person is None once deleted."""
    delivery = activity.delivery_id
    shown = activity.person_id if person is None else person.person_id
    identifiers = {
        "id": person.id if person else None,
        "email": person.email if person else None,
        "cio_id": cio_id(shown),
    }
    of_page = {"url": activity.name} if activity.type == "page" else {}
    return {
        **of_page,
        "id": activity.id,
        "type": activity.type,
        "name": activity.name,
        "timestamp": int(activity.at.timestamp()),
        "data": activity.data,
        "customer_id": identifiers["id"],
        "customer_identifiers": identifiers,
        "delivery_id": None if delivery is None else str(delivery),
        "delivery_type": None if delivery is None else "push",
    }


def _asked(call: Call) -> ActivitiesPage | None:
    """The requested page; None for a type that Customer.io documents but that cannot occur here.

    Raises:
        BadRequest: there is no such type, limit or start.
    """
    limit, _ = validation.page(call.query("limit"), None, usual=_PAGE, most=_LARGEST_PAGE)
    before, before_id = _place(call.query("start"))
    kind = call.query("type")
    if kind and kind not in TYPES and kind in THEIRS:
        return None
    return ActivitiesPage(
        before=before,
        before_id=before_id,
        type=validation.one_of(kind, "type", TYPES) if kind else None,
        name=call.query("name") or None,
        limit=limit,
    )


def _next(at: datetime, last_id: str) -> str:
    return urlsafe_b64encode(f"{(at - _EPOCH) // _MICROSECOND} {last_id}".encode()).decode()


def _place(start: str | None) -> tuple[datetime, str]:
    """The time and ID to continue after: a `next` of ours, given back as `start`."""
    if not start:
        return _LAST, ""
    try:
        microseconds, _, last_id = b64decode(start, altchars=b"-_", validate=True).decode().partition(" ")
        return _EPOCH + int(microseconds) * _MICROSECOND, last_id
    except (ValueError, OverflowError):
        raise BadRequest("start", "expected the `next` of an answer") from None
