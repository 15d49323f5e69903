"""People: found by identifier or filter, and the page of one person."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from pushkeeper.core import times
from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id, of_path, person_of_cio_id
from pushkeeper.core.model import PersonId
from pushkeeper.core.pagination import Page
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui import labels
from pushkeeper.dashboard.ui.csv_download import CSV_ROWS, Column, csv_of, csv_of_pages
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.dashboard.ui.table import table_view
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.services.listings import FIRST_MESSAGE
from pushkeeper.services.listings import FIRST_PERSON as FIRST
from pushkeeper.services.reports.deliveries import ActivitiesPage
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.listings import OwnDelivery, ShownPerson
    from pushkeeper.services.people import Device, Person
    from pushkeeper.services.reports.deliveries import Activity
    from pushkeeper.web.response import Response

_ACTIVITIES = 30
_DELIVERIES = 10
_LAST_TIME = datetime(9999, 1, 1, tzinfo=UTC)
_NAMES = {"email": "Email", "devices": "Devices", "cio_id": "cio_id", "created": "Created"}
_USUAL = ("email", "devices", "created")
_LAST_ID = "\U0010ffff"


COLUMNS: Sequence[Column[ShownPerson]] = (
    Column("cio_id", lambda one: one.cio_id),
    Column("id", lambda one: one.id),
    Column("email", lambda one: one.email),
    Column("created_at", lambda one: one.created_at),
    Column("unsubscribed", lambda one: one.unsubscribed),
    Column("devices", lambda one: sum(one.devices.values())),
    Column("devices_sent", lambda one: one.devices.get("sent", 0)),
    Column("devices_unused", lambda one: one.devices.get("", 0)),
    Column("devices_bounced", lambda one: one.devices.get("bounced", 0)),
    Column("devices_suppressed", lambda one: one.devices.get("suppressed", 0)),
)
_ACTIVITY_COLUMNS: Sequence[Column[Activity]] = (
    Column("at", lambda one: one.at),
    Column("type", lambda one: one.type),
    Column("name", lambda one: one.name),
    Column("data", lambda one: one.data),
    Column("delivery_id", lambda one: one.delivery_id and str(one.delivery_id)),
)
_DELIVERY_COLUMNS: Sequence[Column[OwnDelivery]] = (
    Column("delivery_id", lambda one: str(one.delivery_id)),
    Column("kind", lambda one: one.kind),
    Column("title", lambda one: one.title),
    Column("created_at", lambda one: one.created_at),
    Column("metrics", lambda one: " ".join(sorted(one.metrics))),
)
_DEVICE_COLUMNS: Sequence[Column[Device]] = (
    Column("device", lambda one: one.device_id.hex()),
    Column("token", lambda one: one.token.masked),
    Column("platform", lambda one: one.platform),
    Column("last_status", lambda one: labels.STATUS_NAMES[one.status]),
    Column("attributes", lambda one: one.attributes),
    Column("last_used", lambda one: one.last_used),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of people."""
    people = _People(context)
    one = "/w/{workspace}/people/{person}"
    return [
        view("/w/{workspace}/people", people.show_all),
        action(
            "/w/{workspace}/people/suppress",
            "people.suppress",
            people.suppress,
            people.show_all,
            Role.OPERATOR,
        ),
        view("/w/{workspace}/people.csv", people.csv),
        view(one, people.show),
        view(f"{one}/activities.csv", people.activities_csv),
        view(f"{one}/deliveries.csv", people.deliveries_csv),
        view(f"{one}/devices.csv", people.devices_csv),
    ]


_NOBODY = (
    "No person matches “{text}”. To search by attribute, use a filter such as person.first_name = {text}"
)
_OPERATORS = re.compile(
    r"[=<>!()]|\b(?:and|or|not|in|exists|within|since|starts with|contains|before|after|segment|audience|event)\b"
)


def _is_filter(text: str) -> bool:
    """Whether text that is no valid filter was intended as one, rather than as a name."""
    return _OPERATORS.search(text) is not None


class _People:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._listings = context.services.listings

    async def show_all(self, request: PageRequest) -> Response:
        """A page of people; what somebody is known by leads to them."""
        text = request.asked("filter")
        if text and (found := await self._known_by(request, text)):
            return see_other(request.to("people", found.cio_id))
        standing = await self._context.services.reach.now(request.workspace_id)
        total = standing.reach.people
        view = table_view(request, request.to("people"), _NAMES, _USUAL, kept={"filter": text})
        try:
            node = await self._node(request, text)
        except BadRequest as error:
            said = (
                error
                if _is_filter(text)
                else BadRequest("filter", _NOBODY.format(text=text), is_sentence=True)
            )
            told = {"filter": text, "problem": said, "total": total, "shown": None, "next": None}
            return replace(page(request, "people.html", **told, view=view), status=400)
        shown = await self._listings.people(
            request.workspace_id, node, after=start_of(request), limit=view.size
        )
        following = view.following(start(shown.following) if shown.following else None, len(shown.rows))
        told = {"filter": text, "problem": None, "total": total, "shown": shown, "next": following}
        return page(request, "people.html", **told, view=view)

    async def suppress(self, request: PageRequest) -> ActionResult:
        """Delete the selected people, and keep their identifiers from being used again."""
        selected = [
            found for text in request.form.every("person") if (found := person_of_cio_id(text)) is not None
        ]
        count = await self._context.services.bulk.suppress_people(
            request.actor, request.workspace_id, selected
        )
        notice = f"{labels.plural(count, 'person', 'people')} suppressed."
        return ActionResult(answer=see_other(request.to("people"), self._context.cookies.note(notice)))

    async def csv(self, request: PageRequest) -> Response:
        """All people who match the filter."""
        node = await self._node(request, request.asked("filter"))

        async def read(after: int) -> Page[ShownPerson, int]:
            return await self._listings.people(request.workspace_id, node, after=after, limit=CSV_ROWS)

        return await csv_of_pages("people", COLUMNS, read, FIRST)

    async def show(self, request: PageRequest) -> Response:
        """One person."""
        person = await self._person(request)
        before_message, before = _before_message(request), _before(request)
        devices, segments, sent, told = await asyncio.gather(
            self._context.services.people.devices_of(person, request.workspace_id),
            self._context.services.audiences.segments_of(request.workspace_id, person.person_id),
            self._deliveries(request, person, before_message, _DELIVERIES + 1),
            self._activities(request, person, *before, _ACTIVITIES + 1),
        )
        last = told[_ACTIVITIES - 1] if len(told) > _ACTIVITIES else None
        following = (
            f"{request.to('people', person.cio_id)}?"
            + urlencode({"before": last.at.isoformat(), "before_id": last.id})
            + "#activities"
            if last
            else None
        )
        return page(
            request,
            "person.html",
            person=person,
            devices=devices,
            segments=segments,
            deliveries=sent[:_DELIVERIES],
            older=_older(request, person, sent[_DELIVERIES - 1]) if len(sent) > _DELIVERIES else None,
            activities=told[:_ACTIVITIES],
            latest=not (request.asked("before") or request.asked("before_message")),
            next=following,
        )

    async def activities_csv(self, request: PageRequest) -> Response:
        person = await self._person(request)

        async def read(before: tuple[datetime, str]) -> Page[Activity, tuple[datetime, str]]:
            found = await self._activities(request, person, *before, CSV_ROWS)
            last = (found[-1].at, found[-1].id) if len(found) == CSV_ROWS else None
            return Page(found, last, whole=True)

        return await csv_of_pages("activities", _ACTIVITY_COLUMNS, read, (_LAST_TIME, _LAST_ID))

    async def deliveries_csv(self, request: PageRequest) -> Response:
        person = await self._person(request)

        async def read(before: UUID) -> Page[OwnDelivery, UUID]:
            found = await self._deliveries(request, person, before, CSV_ROWS)
            return Page(found, found[-1].message_id if len(found) == CSV_ROWS else None, whole=True)

        return await csv_of_pages("deliveries", _DELIVERY_COLUMNS, read, FIRST_MESSAGE)

    async def devices_csv(self, request: PageRequest) -> Response:
        person = await self._person(request)
        devices = await self._context.services.people.devices_of(person, request.workspace_id)
        return csv_of("devices", _DEVICE_COLUMNS, devices)

    async def _activities(
        self, request: PageRequest, person: Person, before: datetime, before_id: str, limit: int
    ) -> list[Activity]:
        asked = ActivitiesPage(before=before, before_id=before_id, type=None, name=None, limit=limit)
        return await self._context.services.deliveries.activities_of(
            request.workspace_id, person.person_id, asked
        )

    async def _deliveries(
        self, request: PageRequest, person: Person, before: UUID, limit: int
    ) -> list[OwnDelivery]:
        return await self._listings.deliveries_of(
            request.workspace_id, person.person_id, before=before, limit=limit
        )

    async def _node(self, request: PageRequest, text: str) -> Node | None:
        return await self._context.services.audiences.read(request.workspace_id, text) if text else None

    async def _person(self, request: PageRequest) -> Person:
        who = Identifier(IdentifierKind.CIO_ID, request.segments["person"])
        return await self._context.services.people.person(request.workspace_id, who)

    async def _known_by(self, request: PageRequest, text: str) -> Person | None:
        """The person with this ID, email or cio_id."""
        named = [of_path(text), Identifier(IdentifierKind.ID, text)]
        if person_of_cio_id(text):
            named.append(Identifier(IdentifierKind.CIO_ID, text))
        for identifier in named:
            try:
                return await self._context.services.people.person(request.workspace_id, identifier)
            except NotFound:
                continue
        return None


async def named(context: Context, request: PageRequest, persons: Iterable[PersonId]) -> dict[PersonId, str]:
    """The best-known identifier of each person; the cio_id of a deleted one."""
    keys = dict.fromkeys(persons)
    found = await context.services.people.people(
        request.workspace_id, [Identifier(IdentifierKind.CIO_ID, cio_id(key)) for key in keys]
    )
    return {key: cio_id(key) for key in keys} | {
        one.person_id: one.id or one.email or one.cio_id for one in found
    }


def start_of(request: PageRequest) -> int:
    """Where the page begins.

    Raises:
        BadRequest: the address was not ours.
    """
    start = request.asked("start")
    if not start:
        return FIRST
    found = person_of_cio_id(start)
    if found is None:
        raise BadRequest("start", "this page address is not valid")
    return found


def start(person: int) -> str:
    """Where a page begins, in an address."""
    return cio_id(PersonId(person))


def _before_message(request: PageRequest) -> UUID:
    """Where the page of deliveries begins.

    Raises:
        BadRequest: the address was not ours.
    """
    try:
        return UUID(request.asked("before_message")) if request.asked("before_message") else FIRST_MESSAGE
    except ValueError:
        raise BadRequest("before", "this page address is not valid") from None


def _older(request: PageRequest, person: Person, last: OwnDelivery) -> str:
    here = request.to("people", person.cio_id)
    return f"{here}?{urlencode({'before_message': last.message_id.hex})}#deliveries"


def _before(request: PageRequest) -> tuple[datetime, str]:
    """Where the page of activities begins.

    Raises:
        BadRequest: the address was not ours.
    """
    if not request.asked("before"):
        return _LAST_TIME, _LAST_ID
    if (at := times.from_iso(request.asked("before"))) is None:
        raise BadRequest("before", "this page address is not valid")
    return at, request.asked("before_id")
