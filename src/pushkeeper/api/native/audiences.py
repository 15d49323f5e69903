"""Our own API for audiences: how large one is, who is in it, who differs as it is read of people or devices; and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.api.native.devices import device_json, render
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.filters.to_text import text_of
from pushkeeper.services import validation
from pushkeeper.services.audiences import Estimate
from pushkeeper.services.schemas.audiences import AudienceRequest, CountRequest, NewAudience
from pushkeeper.services.schemas.base import PageQuery
from pushkeeper.web import response
from pushkeeper.web.endpoint import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.services.audiences import AudiencePlan, Preview, Segment, Size, Use
    from pushkeeper.services.people import Device, Member
    from pushkeeper.web.endpoint import Call
    from pushkeeper.web.response import Answer

_SAMPLE = 20
_PAGE = 100


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    asked, kept = _Asked(context), _Kept(context)
    surface = Surface(name="native", authenticate=context.keys.app, render=render)
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

    async def count(self, call: Call) -> Answer:
        asked = await call.read(CountRequest)
        workspace, filter_, unit = call.workspace.workspace_id, asked.filter, asked.unit
        if asked.within_ms is None:
            return response.of_json(size_json(await self._audiences.size(workspace, filter_, unit)))
        size = await self._audiences.estimate(workspace, filter_, unit, within_s=asked.within_ms / 1000)
        return response.of_json(size_json(size))

    async def sample(self, call: Call) -> Answer:
        limit, after = _page(call, usual=_SAMPLE)
        asked = await call.read(AudienceRequest)
        found = await self._audiences.devices(
            call.workspace.workspace_id,
            asked.filter,
            asked.unit,
            after=validation.key_of_page(after),
            limit=limit + 1,
        )
        await self._audit.tokens_read(call.actor, call.workspace.workspace_id, len(found[:limit]))
        return response.of_json(_devices_json(found, limit))

    async def preview(self, call: Call) -> Answer:
        asked = await call.read(AudienceRequest)
        preview = await self._audiences.preview(call.workspace.workspace_id, asked.filter, asked.unit)
        await self._audit.tokens_read(call.actor, call.workspace.workspace_id, preview.examples)
        return response.of_json(preview_json(preview))

    async def explain(self, call: Call) -> Answer:
        asked = await call.read(AudienceRequest)
        plan = await self._audiences.explain(call.workspace.workspace_id, asked.filter, asked.unit)
        return response.of_json(plan_json(plan))


class _Kept:
    """Audiences that are saved under a name."""

    def __init__(self, context: Context) -> None:
        self._audiences = context.services.audiences
        self._audit = context.services.audit

    async def all(self, call: Call) -> Answer:
        workspace = call.workspace.workspace_id
        found, uses = await self._audiences.segments(workspace), await self._audiences.uses(workspace)
        return response.of_json(
            {"audiences": [audience_json(segment, uses.get(segment.segment_id, ())) for segment in found]}
        )

    async def make(self, call: Call) -> Answer:
        made = await self._audiences.make(
            call.actor, call.workspace.workspace_id, (await call.read(NewAudience)).draft()
        )
        return response.of_json({"audience": audience_json(made, ())}, 201)

    async def one(self, call: Call) -> Answer:
        return await self._shown(
            call, await self._audiences.segment(call.workspace.workspace_id, _number(call))
        )

    async def change(self, call: Call) -> Answer:
        return await self._shown(
            call,
            await self._audiences.change(
                call.actor, call.workspace.workspace_id, _number(call), (await call.read(NewAudience)).draft()
            ),
        )

    async def _shown(self, call: Call, segment: Segment) -> Answer:
        uses = await self._audiences.uses(call.workspace.workspace_id)
        return response.of_json({"audience": audience_json(segment, uses.get(segment.segment_id, ()))})

    async def delete(self, call: Call) -> Answer:
        await self._audiences.delete_segment(call.actor, call.workspace.workspace_id, _number(call))
        return response.empty()

    async def members(self, call: Call) -> Answer:
        """Its devices where it is one of devices, else its people; a page at a time."""
        workspace = call.workspace.workspace_id
        limit, start = _page(call, usual=_PAGE)
        segment = await self._audiences.segment(workspace, _number(call))
        if segment.unit is not Unit.DEVICE:
            _, after = validation.page(None, start, usual=limit, most=limit)
            people = await self._audiences.members(
                workspace, segment.segment_id, after=after, limit=limit + 1
            )
            return response.of_json(_people_json(people, limit))
        devices = await self._audiences.devices(
            workspace,
            segment.filter,
            Unit.DEVICE,
            after=validation.key_of_page(start),
            limit=limit + 1,
        )
        await self._audit.tokens_read(call.actor, workspace, len(devices[:limit]))
        return response.of_json(_devices_json(devices, limit))


def audience_json(segment: Segment, uses: Sequence[Use]) -> dict[str, Any]:
    """A saved audience, or a list of people kept by hand, which has no filter; and what names it."""
    return {
        "id": segment.segment_id,
        "name": segment.name,
        "description": segment.description,
        "type": "list" if segment.filter is None else "filter",
        "filter": segment.filter,
        "unit": segment.unit or Unit.PERSON,
        "created_at": segment.created_at,
        "updated_at": segment.updated_at,
        "used_by": uses,
    }


def size_json(size: Size | Estimate) -> dict[str, Any]:
    """How many there are; of an estimate also how far off that may be."""
    found = {"people": size.people, "devices": size.devices}
    if not isinstance(size, Estimate):
        return found
    return {
        **found,
        "estimated": True,
        "people_margin": size.people_margin,
        "devices_margin": size.devices_margin,
    }


def preview_json(preview: Preview) -> dict[str, Any]:
    """How large an audience is, and whom a reading by people gets wrong, with the clause that makes the difference."""
    differences, clauses = preview.apart.differences, preview.apart.clauses
    examples = [("included", device) for device in differences.included]
    examples += [("excluded", device) for device in differences.excluded]
    return {
        "people": preview.size.people,
        "devices": preview.size.devices,
        "wrongly_included": differences.wrongly_included,
        "wrongly_excluded": differences.wrongly_excluded,
        "examples": [
            {"wrongly": wrongly, "device": device_json(device), "clause": clauses.get(device.device_id)}
            for wrongly, device in examples
        ],
    }


def plan_json(plan: AudiencePlan) -> dict[str, Any]:
    """How an audience is counted, how long that takes, and which indexes would make it faster."""
    return {
        "people": plan.size.people,
        "devices": plan.size.devices,
        "took_ms": round(plan.took_ms, 1),
        "scans": plan.scans,
        "advice": [
            {"clause": text_of(one.index.node), "sql": one.index.sql, "share": round(one.share, 4)}
            for one in plan.advice
        ],
    }


def _people_json(found: Sequence[Member], limit: int) -> dict[str, Any]:
    page = found[:limit]
    return {
        "people": [{"id": one.id, "email": one.email, "cio_id": one.cio_id} for one in page],
        "next": validation.next_page(page[-1].person_id) if len(found) > limit else None,
    }


def _devices_json(found: Sequence[Device], limit: int) -> dict[str, Any]:
    page = found[:limit]
    return {
        "devices": [device_json(device) for device in page],
        "next": page[-1].device_id.hex() if len(found) > limit else None,
    }


def _number(call: Call) -> int:
    return validation.number_of_path(call.segment("id"), "audience")


def _page(call: Call, *, usual: int) -> tuple[int, str | None]:
    """How many are wanted, and after which."""
    query = call.queried(PageQuery)
    return query.limit or usual, query.start
