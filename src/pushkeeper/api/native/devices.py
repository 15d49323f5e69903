"""Our own API, for what Customer.io has no call for: devices as first-class things, and statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.core.devices.tokens import token_of
from pushkeeper.services import validation
from pushkeeper.services.schemas.devices import (
    DaysQuery,
    DeviceCountsView,
    DeviceHistoryView,
    DeviceLinesQuery,
    DevicePageView,
    DeviceQuery,
    DevicesQuery,
    DeviceView,
    HistoryLineView,
    PushCountsView,
    PushCountView,
    PushListView,
    PushView,
)
from pushkeeper.services.validation import MAX_TOKEN_BYTES
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.core.model import Token
    from pushkeeper.services.people import Device
    from pushkeeper.web.response import Response

_PAGE = 100
_DAYS = 30


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    devices = _Devices(context)
    surface = native(context)
    return [
        surface.route("/api/v1/devices", GET=devices.devices),
        surface.route("/api/v1/devices/{token}", GET=devices.device),
        surface.route("/api/v1/devices/{token}/pushes", GET=devices.pushes),
        surface.route("/api/v1/devices/{token}/history", GET=devices.history),
        surface.route("/api/v1/stats/devices", GET=devices.device_counts),
        surface.route("/api/v1/stats/pushes", GET=devices.push_counts),
    ]


class _Devices:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def device(self, call: Call) -> Response:
        device = await self._device(call, call.queried(DeviceQuery))
        [way] = await self._context.services.routes.of_devices(call.workspace_id, [device])
        return response.of_json(DeviceView.of(device, way))

    async def devices(self, call: Call) -> Response:
        """Devices by what they are, a page at a time."""
        query = call.queried(DevicesQuery)
        limit = query.limit or _PAGE
        found = await self._context.services.people.search(
            call.workspace_id,
            query.search(),
            after=validation.key_of_page(query.start),
            limit=limit + 1,
        )
        page = found[:limit]
        following = page[-1].device_id.hex() if len(found) > limit else None
        ways = await self._context.services.routes.of_devices(call.workspace_id, page)
        await self._context.services.audit.tokens_read(call.actor, call.workspace_id, len(page))
        shown = [DeviceView.of(device, way) for device, way in zip(page, ways, strict=True)]
        return response.of_json(DevicePageView(devices=shown, next=following))

    async def pushes(self, call: Call) -> Response:
        query = call.queried(DeviceLinesQuery)
        device = await self._device(call, query)
        lines = await self._context.services.people.pushes(device, limit=query.limit or _PAGE)
        ids = self._context.services.listings.delivery_ids
        return response.of_json(PushListView(pushes=[PushView.of(device, line, ids) for line in lines]))

    async def history(self, call: Call) -> Response:
        query = call.queried(DeviceLinesQuery)
        lines = await self._context.services.people.history(
            call.workspace_id,
            _token(call),
            query.owner(),
            limit=query.limit or _PAGE,
        )
        return response.of_json(DeviceHistoryView(history=[HistoryLineView.of(line) for line in lines]))

    async def _device(self, call: Call, query: DeviceQuery) -> Device:
        return await self._context.services.people.device(call.workspace_id, _token(call), query.owner())

    async def device_counts(self, call: Call) -> Response:
        counts = await self._context.services.deliveries.device_counts(call.workspace_id)
        return response.of_json(DeviceCountsView.of(counts))

    async def push_counts(self, call: Call) -> Response:
        days = call.queried(DaysQuery).days or _DAYS
        counts = await self._context.services.deliveries.answers(call.workspace_id, days=days)
        shown = [PushCountView.from_attributes(one) for one in counts]
        return response.of_json(PushCountsView(days=days, counts=shown))


def _token(call: Call) -> Token:
    return token_of(validation.text(call.segment("token"), "token", max_bytes=MAX_TOKEN_BYTES))
