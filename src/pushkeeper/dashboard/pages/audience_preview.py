"""Preview of an audience while its filter is edited: members, as devices and as people, loaded in parts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.filters.to_text import text_of
from pushkeeper.core.identity import cio_id
from pushkeeper.core.pagination import Page
from pushkeeper.dashboard.pages import devices, people
from pushkeeper.dashboard.ui.csv_download import CSV_ROWS, ROWS, Column, csv_of_pages
from pushkeeper.dashboard.ui.page import view
from pushkeeper.dashboard.ui.page_request import said_of
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest, TooManyRequests, TooSlow
from pushkeeper.services.audiences import LONGEST_S
from pushkeeper.services.listings import FIRST_DEVICE, FIRST_PERSON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.audiences import AudiencePlan
    from pushkeeper.services.listings import DeviceKey, ShownDevice, ShownPerson
    from pushkeeper.services.people import Device
    from pushkeeper.web.response import Response

COUNTED_WITHIN_S = 0.6  # while somebody types; half of it for counting, half for an estimate
COMPARED_WITHIN_S = 2.0
_NOT_COMPARED: dict[str, Any] = {"apart": None, "too_long": False, "named": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedFilter:
    """A filter to preview, and its unit; `at` is the page that shows it: `new`, or an audience's number."""

    filter: str
    unit: Unit
    at: str

    def query(self, **more: str) -> str:
        """The same in an address."""
        return urlencode({"filter": self.filter, "unit": self.unit.value, **more})

    @property
    def for_broadcast(self) -> str:
        """The query string for a new broadcast to this audience."""
        asked = (
            {"audience": self.filter}
            if self.unit is Unit.DEVICE
            else {"audience": self.filter, "unit": "person"}
        )
        return urlencode(asked)


@dataclass(frozen=True, slots=True)
class _Apart:
    """A device that evaluating the filter per person wrongly includes, or excludes."""

    device: Device
    included: bool


_COLUMNS: Sequence[Column[_Apart]] = (
    Column("device", lambda one: one.device.device_id.hex()),
    Column("token", lambda one: one.device.token.masked),
    Column("platform", lambda one: one.device.platform.value),
    Column("last_status", lambda one: one.device.status.value),
    Column("cio_id", lambda one: cio_id(one.device.person_id)),
    Column("read_of_people", lambda one: "included" if one.included else "excluded"),
)


def tried(request: PageRequest) -> PreviewedFilter:
    """What the address asks to be looked at.

    Raises:
        BadRequest: the unit is none, or the filter is too long.
    """
    at = request.asked("at")
    return PreviewedFilter(
        filter=request.asked("filter"),
        unit=unit_of(request.asked("unit")),
        at=at if at.isascii() and at.isdigit() else "new",
    )


def unit_of(text: str) -> Unit:
    """The unit of the filter: devices by default.

    Raises:
        BadRequest: it is neither unit.
    """
    try:
        return Unit(text or Unit.DEVICE)
    except ValueError:
        raise BadRequest("unit", "expected device or person") from None


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of the preview."""
    trying = FilterPreview(context)
    here = "/w/{workspace}/audiences"
    return [
        view(f"{here}/count", trying.show_count),
        view(f"{here}/apart", trying.show_apart),
        view(f"{here}/members", trying.show_members),
        view(f"{here}/plan", trying.show_plan),
        view(f"{here}/members.csv", trying.csv),
        view(f"{here}/apart.csv", trying.apart_csv),
    ]


class FilterPreview:
    """The preview of a filter."""

    def __init__(self, context: Context) -> None:
        self._audiences = context.services.audiences
        self._context = context
        self._listings = context.services.listings

    # As fragments of a page. Only the count shows what is wrong with a filter that is being edited.

    async def show_count(self, request: PageRequest) -> Response:
        one = tried(request)
        try:
            told = await self.counts(request, one, exact=request.asked("exact") == "yes")
        except BadRequest as error:
            return page(request, "audience_count.html", tried=one, counts=None, slow=False, problem=error)
        return page(request, "audience_count.html", tried=one, problem=None, **told)

    async def show_apart(self, request: PageRequest) -> Response:
        one, whole = tried(request), request.asked("exact") == "yes"
        try:
            told = await self.apart(request, one, within_s=LONGEST_S if whole else COMPARED_WITHIN_S)
        except BadRequest:
            told = dict(_NOT_COMPARED)
        return page(request, "audience_apart.html", tried=one, **told)

    async def show_members(self, request: PageRequest) -> Response:
        one = tried(request)
        try:
            told = await self.members(request, one)
        except BadRequest:
            told = {"shown": None, "next": None}
        return page(request, "audience_members.html", tried=one, **told)

    async def show_plan(self, request: PageRequest) -> Response:
        one = tried(request)
        return page(request, "audience_plan.html", tried=one, **await self.plan(request, one))

    async def csv(self, request: PageRequest) -> Response:
        """All devices that it is true of, or all people."""
        one = tried(request)
        node = await self._audiences.read(request.workspace_id, one.filter)
        if one.unit is Unit.DEVICE:
            return await csv_of_pages(
                "audience", devices.COLUMNS, self._devices(request, node, CSV_ROWS), FIRST_DEVICE
            )
        return await csv_of_pages(
            "audience", people.COLUMNS, self._people(request, node, CSV_ROWS), FIRST_PERSON
        )

    async def apart_csv(self, request: PageRequest) -> Response:
        """All devices in which the two readings differ: those that are wrongly taken in, and then those that are left out."""
        one = tried(request)

        async def read(start: tuple[bool, bytes]) -> Page[_Apart, tuple[bool, bytes]]:
            included, after = start
            found = await self._audiences.differing(
                request.workspace_id, one.filter, included=included, after=after, limit=CSV_ROWS
            )
            rows = [_Apart(device, included=included) for device in found]
            if len(rows) == CSV_ROWS:
                return Page(rows, (included, found[-1].device_id), whole=True)
            return Page(rows, (False, b"") if included else None, whole=True)

        return await csv_of_pages("differences", _COLUMNS, read, (True, b""))

    # What they tell.

    async def counts(
        self, request: PageRequest, one: PreviewedFilter, *, exact: bool = False
    ) -> dict[str, Any]:
        """How many people and devices there are of each reading; `slow` when not even an estimate is there in time.

        Raises:
            BadRequest: it is no filter.
        """
        if not one.filter:
            return {"counts": None, "slow": False}
        asked = (request.workspace_id, one.filter)
        try:
            found = await asyncio.gather(
                *(
                    self._audiences.size(*asked, unit)
                    if exact
                    else self._audiences.estimate(*asked, unit, within_s=COUNTED_WITHIN_S)
                    for unit in Unit
                )
            )
        except (TooSlow, TooManyRequests):
            return {"counts": None, "slow": True}
        return {"counts": dict(zip(Unit, found, strict=True)), "slow": False}

    async def apart(
        self, request: PageRequest, one: PreviewedFilter, *, within_s: float = COMPARED_WITHIN_S
    ) -> dict[str, Any]:
        """Where evaluation per person and per device differ; `too_long` if it takes too long.

        Raises:
            BadRequest: the filter is invalid.
        """
        if not one.filter:
            return dict(_NOT_COMPARED)
        try:
            found = await self._audiences.apart(request.workspace_id, one.filter, within_s=within_s)
        except (TooSlow, TooManyRequests):
            return {**_NOT_COMPARED, "too_long": True}
        examples = (*found.differences.included, *found.differences.excluded)
        named = await people.named(self._context, request, (device.person_id for device in examples))
        return {"apart": found, "too_long": False, "named": named}

    async def members(self, request: PageRequest, one: PreviewedFilter) -> dict[str, Any]:
        """A page of devices, or of people.

        Raises:
            BadRequest: it is no filter, or the page's start is none.
        """
        if not one.filter:
            return {"shown": None, "next": None}
        node = await self._audiences.read(request.workspace_id, one.filter)
        if one.unit is Unit.DEVICE:
            some = await self._devices(request, node, ROWS)(devices.start_of(request))
            start = None if some.following is None else devices.start(some.following)
            return {"shown": some, "next": _following(request, one, start)}
        found = await self._people(request, node, ROWS)(people.start_of(request))
        start = None if found.following is None else people.start(found.following)
        return {"shown": found, "next": _following(request, one, start)}

    async def plan(self, request: PageRequest, one: PreviewedFilter) -> dict[str, Any]:
        """How it is counted, and what would be faster; or why that is not told."""
        plan: AudiencePlan | None = None
        problem = ""
        try:
            plan = await self._audiences.explain(request.workspace_id, one.filter, one.unit)
        except (BadRequest, TooSlow, TooManyRequests) as error:
            problem = said_of(error)
        return {"plan": plan, "plan_problem": problem, "text_of": text_of}

    def _devices(
        self, request: PageRequest, node: Node, limit: int
    ) -> Callable[[DeviceKey], Awaitable[Page[ShownDevice, DeviceKey]]]:
        async def read(after: DeviceKey) -> Page[ShownDevice, DeviceKey]:
            return await self._listings.devices(request.workspace_id, node, after=after, limit=limit)

        return read

    def _people(
        self, request: PageRequest, node: Node, limit: int
    ) -> Callable[[int], Awaitable[Page[ShownPerson, int]]]:
        async def read(after: int) -> Page[ShownPerson, int]:
            return await self._listings.people(request.workspace_id, node, after=after, limit=limit)

        return read


def _following(request: PageRequest, one: PreviewedFilter, start: str | None) -> str | None:
    return f"{request.to('audiences', one.at)}?{one.query(start=start)}#members" if start else None
