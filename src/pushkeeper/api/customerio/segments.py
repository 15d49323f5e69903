"""Segments in Customer.io's App API: manual ones, which are all that it makes, and saved audiences as dynamic ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.api.customerio.app_api import members_json, person_of, render
from pushkeeper.api.customerio.track_v1 import segment_of
from pushkeeper.api.style import ApiStyle
from pushkeeper.services import validation
from pushkeeper.services.audiences import Draft
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.audiences import Segment
    from pushkeeper.web.response import Response

MAX_NAME_BYTES = 255
MAX_DESCRIPTION_BYTES = 2_000
_PAGE = 1_000
_LARGEST_PAGE = 30_000


def routes(context: Context) -> Sequence[Route]:
    """The routes of segments."""
    segments = _Segments(context)
    surface = ApiStyle(name="app_api", authenticate=context.keys.app, render=render)
    one = "/v1/segments/{segment}"
    return [
        surface.route("/v1/segments", GET=segments.all, POST=segments.make),
        surface.route(one, GET=segments.one, DELETE=segments.delete),
        surface.route(f"{one}/customer_count", GET=segments.count),
        surface.route(f"{one}/membership", GET=segments.membership),
        surface.route(f"{one}/used_by", GET=segments.used_by),
        surface.route("/v1/customers/{id}/segments", GET=segments.of_person),
    ]


class _Segments:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._audiences = context.services.audiences

    async def all(self, call: Call) -> Response:
        found = await self._audiences.segments(call.workspace_id)
        return response.of_json({"segments": [segment_json(segment) for segment in found]})

    async def make(self, call: Call) -> Response:
        body = await call.json()
        given = validation.as_object(body.get("segment"), "segment")
        name = validation.text(given.get("name"), "segment.name", max_bytes=MAX_NAME_BYTES)
        description = validation.optional_text(
            given.get("description"), "segment.description", max_bytes=MAX_DESCRIPTION_BYTES
        )
        draft = Draft(name=name, description=description or "")
        made = await self._audiences.make(call.actor, call.workspace_id, draft)
        return response.of_json({"segment": segment_json(made)})

    async def one(self, call: Call) -> Response:
        found = await self._audiences.segment(call.workspace_id, segment_of(call))
        return response.of_json({"segment": segment_json(found)})

    async def delete(self, call: Call) -> Response:
        await self._audiences.delete_segment(call.actor, call.workspace_id, segment_of(call))
        return response.empty()

    async def count(self, call: Call) -> Response:
        segment = segment_of(call)
        count = await self._audiences.count(call.workspace_id, segment)
        return response.of_json({"segment_id": segment, "count": count})

    async def membership(self, call: Call) -> Response:
        limit, after = validation.page(
            call.query("limit"), call.query("start"), usual=_PAGE, most=_LARGEST_PAGE
        )
        found = await self._audiences.members(
            call.workspace_id, segment_of(call), after=after, limit=limit + 1
        )
        return response.of_json(members_json(found, limit))

    async def used_by(self, call: Call) -> Response:
        segment = segment_of(call)
        templates = await self._audiences.templates_naming(call.workspace_id, segment)
        used_by = {"campaigns": templates, "sent_newsletters": [], "draft_newsletters": []}
        return response.of_json({"segment_id": segment, "used_by": used_by})

    async def of_person(self, call: Call) -> Response:
        person = await person_of(self._context, call)
        found = await self._audiences.segments_of(call.workspace_id, person.person_id)
        shown = [{"id": s.segment_id, "name": s.name, "description": s.description} for s in found]
        return response.of_json({"segments": shown})


def segment_json(segment: Segment) -> dict[str, Any]:
    """A segment as Customer.io shows it; none has anything left to build."""
    created = int(segment.created_at.timestamp())
    return {
        "id": segment.segment_id,
        "deduplicate_id": f"{segment.segment_id}:{int(segment.updated_at.timestamp())}",
        "name": segment.name,
        "description": segment.description,
        "state": "finished",
        "progress": None,
        "type": "manual" if segment.filter is None else "dynamic",
        "tags": None,
        "created_at": created,
        "updated_at": int(segment.updated_at.timestamp()),
    }
