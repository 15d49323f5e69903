"""Our own API for audiences: how large one is, who is in it, and who differs as it is read of people or devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.api import answer, fields
from pushkeeper.api.native import device_json, render
from pushkeeper.api.surface import Surface
from pushkeeper.core.filter import Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.answer import Answer
    from pushkeeper.api.app import Rooms
    from pushkeeper.api.surface import Call
    from pushkeeper.audience import Preview

_SAMPLE = 20
_LARGEST_SAMPLE = 1_000


def routes(rooms: Rooms) -> Sequence[Route]:
    """The routes of this API."""
    audiences = _Audiences(rooms)
    surface = Surface(authenticate=rooms.keys.app, render=render)
    return [
        surface.route("/api/v1/audiences/count", POST=audiences.count),
        surface.route("/api/v1/audiences/sample", POST=audiences.sample),
        surface.route("/api/v1/audiences/preview", POST=audiences.preview),
    ]


class _Audiences:
    def __init__(self, rooms: Rooms) -> None:
        self._audiences = rooms.audiences

    async def count(self, call: Call) -> Answer:
        filter_, unit = _asked(call)
        size = await self._audiences.size(call.workspace.workspace_id, filter_, unit)
        return answer.of_json({"people": size.people, "devices": size.devices})

    async def sample(self, call: Call) -> Answer:
        filter_, unit = _asked(call)
        text = call.query("limit")
        limit = _SAMPLE if text is None else fields.number(text, "limit", most=_LARGEST_SAMPLE)
        found = await self._audiences.sample(call.workspace.workspace_id, filter_, unit, limit=limit)
        return answer.of_json({"devices": [device_json(device) for device in found]})

    async def preview(self, call: Call) -> Answer:
        filter_, unit = _asked(call)
        preview = await self._audiences.preview(call.workspace.workspace_id, filter_, unit)
        return answer.of_json(preview_json(preview))


def preview_json(preview: Preview) -> dict[str, Any]:
    """How large an audience is, and whom a reading by people gets wrong."""
    differences = preview.differences
    examples = [("included", device) for device in differences.included]
    examples += [("excluded", device) for device in differences.excluded]
    return {
        "people": preview.size.people,
        "devices": preview.size.devices,
        "wrongly_included": differences.wrongly_included,
        "wrongly_excluded": differences.wrongly_excluded,
        "examples": [{"wrongly": wrongly, "device": device_json(device)} for wrongly, device in examples],
    }


def _asked(call: Call) -> tuple[Any, Unit]:
    """The filter, and what is counted: devices, unless people are asked for."""
    body = fields.as_object(fields.decode(call.raw_body), "body")
    unit = fields.one_of(body.get("unit", Unit.DEVICE.value), "unit", tuple(Unit))
    return body.get("filter"), Unit(unit)
