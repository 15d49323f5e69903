"""Audiences: those that are kept, beside lists of people kept by hand; and one of them, written, looked at and saved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.filters.to_text import text_of
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.pages import audience_preview
from pushkeeper.dashboard.pages.audience_preview import FilterPreview, PreviewedFilter
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page, pretty_json
from pushkeeper.errors import BadRequest, PushkeeperError
from pushkeeper.services.audiences import Draft, read_filter
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.audiences import Segment, Use
    from pushkeeper.web.response import Response

_MAX_NAME_BYTES = 255
_MAX_DESCRIPTION_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class AudienceRow:
    """A segment in the list: its filter as text (None of a list), and what names it."""

    segment: Segment
    filter: str | None
    uses: Sequence[Use]

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        if self.filter is None:
            return "manual list"
        return "person filter" if self.segment.unit is Unit.PERSON else "device filter"


_COLUMNS: Sequence[Column[AudienceRow]] = (
    Column("audience", lambda one: one.segment.segment_id),
    Column("name", lambda one: one.segment.name),
    Column("description", lambda one: one.segment.description),
    Column("kind", lambda one: one.kind),
    Column("filter", lambda one: one.filter or ""),
    Column("used_by", lambda one: ", ".join(f"{use.kind} {use.number}" for use in one.uses)),
    Column("updated_at", lambda one: one.segment.updated_at),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of audiences."""
    audiences = _Audiences(context)
    here, one, role = "/w/{workspace}/audiences", "/w/{workspace}/audiences/{audience}", Role.OPERATOR
    return [
        view(here, audiences.show_all),
        view(f"{here}.csv", audiences.csv),
        view(f"{here}/new", audiences.new),
        action(f"{here}/new", "audience.make", audiences.make, audiences.new, role),
        *audience_preview.page_routes(context),
        view(one, audiences.show),
        action(one, "audience.change", audiences.change, audiences.show, role),
        action(f"{one}/delete", "audience.delete", audiences.delete, audiences.show, role),
    ]


class _Audiences:
    def __init__(self, context: Context) -> None:
        self._audiences = context.services.audiences
        self._reach = context.services.reach
        self._trying = FilterPreview(context)
        self._names = context.cookies

    async def show_all(self, request: PageRequest) -> Response:
        """All audiences, the newest first."""
        listed = await self._listed(request)
        # The number of devices matters while there is no audience yet.
        devices = 0 if listed else await self._devices(request)
        return page(request, "audiences.html", listed=listed[::-1], devices=devices)

    async def csv(self, request: PageRequest) -> Response:
        return csv_of("audiences", _COLUMNS, await self._listed(request))

    async def new(self, request: PageRequest) -> Response:
        """One that is not saved yet."""
        return await self._written(request, None)

    async def make(self, request: PageRequest) -> ActionResult:
        made = await self._audiences.make(request.actor, request.workspace_id, _draft(request))
        return self._done(request, made, "Audience saved.")

    async def show(self, request: PageRequest) -> Response:
        """One audience; a list, which has no filter, with its members."""
        segment = await self._audiences.segment(request.workspace_id, request.number("audience", "audience"))
        if segment.filter is not None:
            return await self._written(request, segment)
        listing = PreviewedFilter(
            filter=naming(segment.segment_id), unit=Unit.PERSON, at=str(segment.segment_id)
        )
        return page(
            request,
            "audience_list.html",
            segment=segment,
            uses=await self._uses(request, segment),
            tried=listing,
            naming=listing.filter,
            **await self._trying.members(request, listing),
        )

    async def change(self, request: PageRequest) -> ActionResult:
        number = request.number("audience", "audience")
        changed = await self._audiences.change(request.actor, request.workspace_id, number, _draft(request))
        return self._done(request, changed, "Audience updated. Past sends are not affected.")

    async def delete(self, request: PageRequest) -> ActionResult:
        segment = await self._audiences.segment(request.workspace_id, request.number("audience", "audience"))
        await self._audiences.delete_segment(request.actor, request.workspace_id, segment.segment_id)
        notice = self._names.note(f"{segment.name} deleted. People and devices are not affected.")
        return ActionResult(answer=see_other(request.to("audiences"), notice))

    async def _written(self, request: PageRequest, segment: Segment | None) -> Response:
        """The form with its input, the query's or the saved values, and the filter's result."""
        typed = _typed(request, segment)
        one, problem = typed.tried, _problem(request)
        told: dict[str, Any] = dict(_NOTHING_TOLD)
        if problem is None and one.filter:
            try:
                told |= await self._told(request, one)
            except BadRequest as error:
                problem = error
        answer = page(
            request,
            "audience.html",
            segment=segment,
            typed=typed,
            tried=one,
            problem=problem,
            uses=await self._uses(request, segment) if segment else (),
            naming=naming(segment.segment_id) if segment else "",
            **told,
        )
        return answer if problem is None else replace(answer, status=400)

    async def _told(self, request: PageRequest, one: PreviewedFilter) -> dict[str, Any]:
        """The members; and, without JavaScript, their number and the query plan."""
        told = await self._trying.members(request, one)
        if request.asked("count") == "yes":
            told |= await self._trying.counts(request, one)
            told |= await self._trying.apart(request, one)
        if request.asked("plan") == "yes":
            told |= await self._trying.plan(request, one)
        return told

    async def _listed(self, request: PageRequest) -> list[AudienceRow]:
        found = await self._audiences.segments(request.workspace_id)
        uses = await self._audiences.uses(request.workspace_id)
        return [AudienceRow(one, _text(one), uses.get(one.segment_id, ())) for one in found]

    async def _uses(self, request: PageRequest, segment: Segment) -> Sequence[Use]:
        return (await self._audiences.uses(request.workspace_id)).get(segment.segment_id, ())

    async def _devices(self, request: PageRequest) -> int:
        standing = await self._reach.now(request.workspace_id)
        return sum(count.devices for count in standing.devices)

    def _done(self, request: PageRequest, segment: Segment, notice: str) -> ActionResult:
        answer = see_other(request.to("audiences", segment.segment_id), self._names.note(notice))
        return ActionResult(answer=answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Typed:
    """What the form holds."""

    name: str
    description: str
    tried: PreviewedFilter


_NOTHING_TOLD: dict[str, Any] = {
    "shown": None,
    "next": None,
    "counts": None,
    "slow": False,
    "apart": None,
    "too_long": False,
    "named": {},
    "plan": None,
    "plan_problem": "",
    "text_of": text_of,
}


def _typed(request: PageRequest, segment: Segment | None) -> _Typed:
    """The form's input, else the query's values, else the saved ones."""
    at = "new" if segment is None else str(segment.segment_id)
    if request.form.is_sent:
        said = {name: _said(request, name) for name in ("name", "description", "filter", "unit")}
    elif "filter" in request.query:
        said = {name: request.asked(name) for name in ("name", "description", "filter", "unit")}
    elif segment is not None:
        said = {"name": segment.name, "description": segment.description, "filter": _text(segment) or ""}
        said["unit"] = segment.unit or Unit.DEVICE
    else:
        said = {"name": "", "description": "", "filter": "", "unit": ""}
    unit = Unit.PERSON if said["unit"] == Unit.PERSON else Unit.DEVICE
    return _Typed(
        name=said["name"],
        description=said["description"],
        tried=PreviewedFilter(filter=said["filter"], unit=unit, at=at),
    )


def _problem(request: PageRequest) -> PushkeeperError | None:
    """The errors in the submitted filter."""
    return request.form.problem if request.form.about == "filter" else None


def _draft(request: PageRequest) -> Draft:
    """The audience that the form says.

    Raises:
        BadRequest: something of it is none.
    """
    name, description, filter_ = (_said(request, field) for field in ("name", "description", "filter"))
    if not filter_:
        raise BadRequest("filter", "enter a filter; use everybody for all devices")
    if not name or len(name.encode()) > _MAX_NAME_BYTES:
        raise BadRequest("name", f"expected 1 to {_MAX_NAME_BYTES} bytes")
    if len(description.encode()) > _MAX_DESCRIPTION_BYTES:
        raise BadRequest("description", f"at most {_MAX_DESCRIPTION_BYTES:,} bytes", "out_of_range")
    return Draft(
        name=name,
        description=description,
        filter=filter_,
        unit=audience_preview.unit_of(_said(request, "unit")),
    )


def _said(request: PageRequest, name: str) -> str:
    return request.form.text(name).replace("\0", "")


def _text(segment: Segment) -> str | None:
    """An audience's filter as text, as typed if possible; None of a list."""
    if segment.filter is None or isinstance(segment.filter, str):
        return segment.filter
    try:
        return text_of(read_filter(segment.filter))
    except BadRequest:
        return pretty_json(segment.filter)


def naming(segment_id: int) -> str:
    """The filter that matches the members of a segment."""
    return f"segment {segment_id}"
