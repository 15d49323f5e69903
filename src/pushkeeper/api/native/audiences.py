"""Our own API for audiences: count, sample, explain and compare one, and save it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.services import validation
from pushkeeper.services.schemas.audiences import (
    AudienceListView,
    AudienceRequest,
    AudienceView,
    CountRequest,
    MembersView,
    MemberView,
    NewAudience,
    OneAudienceView,
    PlanView,
    PreviewView,
    SizeView,
)
from pushkeeper.services.schemas.base import PageQuery
from pushkeeper.services.schemas.devices import DevicePageView, DeviceView
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.audiences import Segment
    from pushkeeper.services.people import Device, Member
    from pushkeeper.web.response import Response

_SAMPLE = 20
_PAGE = 100


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    asked, kept = _Asked(context), _Kept(context)
    surface = native(context)
    return [
        surface.route("/api/v1/audiences/count", POST=asked.count),
        surface.route("/api/v1/audiences/sample", POST=asked.sample),
        surface.route("/api/v1/audiences/preview", POST=asked.preview),
        surface.route("/api/v1/audiences/explain", POST=asked.explain),
        surface.route("/api/v1/audiences", GET=kept.all, POST=kept.make),
        surface.route("/api/v1/audiences/{id}", GET=kept.one, PUT=kept.change, DELETE=kept.delete),
        surface.route("/api/v1/audiences/{id}/members", GET=kept.members),
    ]


class _Asked:
    """Filters that are given with the question."""

    def __init__(self, context: Context) -> None:
        self._audiences = context.services.audiences
        self._audit = context.services.audit

    async def count(self, call: Call) -> Response:
        asked = await call.read(CountRequest)
        workspace, filter_, unit = call.workspace_id, asked.filter, asked.unit
        if asked.within_ms is None:
            return response.of_json(SizeView.of(await self._audiences.size(workspace, filter_, unit)))
        size = await self._audiences.estimate(workspace, filter_, unit, within_s=asked.within_ms / 1000)
        return response.of_json(SizeView.of(size))

    async def sample(self, call: Call) -> Response:
        limit, after = _page(call, usual=_SAMPLE)
        asked = await call.read(AudienceRequest)
        found = await self._audiences.devices(
            call.workspace_id,
            asked.filter,
            asked.unit,
            after=validation.key_of_page(after),
            limit=limit + 1,
        )
        await self._audit.tokens_read(call.actor, call.workspace_id, len(found[:limit]))
        return response.of_json(_devices_page(found, limit))

    async def preview(self, call: Call) -> Response:
        asked = await call.read(AudienceRequest)
        preview = await self._audiences.preview(call.workspace_id, asked.filter, asked.unit)
        await self._audit.tokens_read(call.actor, call.workspace_id, preview.examples)
        return response.of_json(PreviewView.of(preview))

    async def explain(self, call: Call) -> Response:
        asked = await call.read(AudienceRequest)
        plan = await self._audiences.explain(call.workspace_id, asked.filter, asked.unit)
        return response.of_json(PlanView.of(plan))


class _Kept:
    """Audiences that are saved under a name."""

    def __init__(self, context: Context) -> None:
        self._audiences = context.services.audiences
        self._audit = context.services.audit

    async def all(self, call: Call) -> Response:
        workspace = call.workspace_id
        found, uses = await self._audiences.segments(workspace), await self._audiences.uses(workspace)
        return response.of_json(
            AudienceListView(
                audiences=[AudienceView.of(segment, uses.get(segment.segment_id, ())) for segment in found]
            )
        )

    async def make(self, call: Call) -> Response:
        made = await self._audiences.make(
            call.actor, call.workspace_id, (await call.read(NewAudience)).draft()
        )
        return response.of_json(OneAudienceView(audience=AudienceView.of(made)), 201)

    async def one(self, call: Call) -> Response:
        return await self._shown(
            call, await self._audiences.segment(call.workspace_id, call.number("audience"))
        )

    async def change(self, call: Call) -> Response:
        return await self._shown(
            call,
            await self._audiences.change(
                call.actor, call.workspace_id, call.number("audience"), (await call.read(NewAudience)).draft()
            ),
        )

    async def _shown(self, call: Call, segment: Segment) -> Response:
        uses = await self._audiences.uses(call.workspace_id)
        return response.of_json(
            OneAudienceView(audience=AudienceView.of(segment, uses.get(segment.segment_id, ())))
        )

    async def delete(self, call: Call) -> Response:
        await self._audiences.delete_segment(call.actor, call.workspace_id, call.number("audience"))
        return response.empty()

    async def members(self, call: Call) -> Response:
        """Its devices where it is one of devices, else its people; a page at a time."""
        workspace = call.workspace_id
        limit, start = _page(call, usual=_PAGE)
        segment = await self._audiences.segment(workspace, call.number("audience"))
        if segment.unit is not Unit.DEVICE:
            _, after = validation.page(None, start, usual=limit, most=limit)
            people = await self._audiences.members(
                workspace, segment.segment_id, after=after, limit=limit + 1
            )
            return response.of_json(_people_page(people, limit))
        devices = await self._audiences.devices(
            workspace,
            segment.filter,
            Unit.DEVICE,
            after=validation.key_of_page(start),
            limit=limit + 1,
        )
        await self._audit.tokens_read(call.actor, workspace, len(devices[:limit]))
        return response.of_json(_devices_page(devices, limit))


def _people_page(found: Sequence[Member], limit: int) -> MembersView:
    page = found[:limit]
    return MembersView(
        people=[MemberView(id=one.id, email=one.email, cio_id=one.cio_id) for one in page],
        next=validation.next_page(page[-1].person_id) if len(found) > limit else None,
    )


def _devices_page(found: Sequence[Device], limit: int) -> DevicePageView:
    page = found[:limit]
    return DevicePageView(
        devices=[DeviceView.of(device) for device in page],
        next=page[-1].device_id.hex() if len(found) > limit else None,
    )


def _page(call: Call, *, usual: int) -> tuple[int, str | None]:
    """How many are wanted, and after which."""
    query = call.queried(PageQuery)
    return query.limit or usual, query.start
