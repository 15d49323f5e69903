"""Our own API for broadcasts: create, preview, estimate, start, pause, resume and cancel them, and read their results."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.core.model import DeviceId
from pushkeeper.services import validation
from pushkeeper.services.broadcasts.results import Rank
from pushkeeper.services.schemas.broadcast_view import (
    BroadcastPageView,
    BroadcastPreviewView,
    BroadcastView,
    EstimateView,
    MinuteListView,
    MinuteView,
    OneBroadcastView,
    OneEstimateView,
    PlatformPreviewView,
    PreflightEstimateView,
    UnrenderablePageView,
    UnrenderableQuery,
    UnrenderableView,
)
from pushkeeper.services.schemas.broadcasts import BroadcastsQuery, StartRequest, change_of, request_of
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.broadcasts.service import Broadcast
    from pushkeeper.web.response import Response

MAX_BODY_BYTES = 10_000_000  # ten thousand tokens of installations


def routes(context: Context) -> Sequence[Route]:
    """The routes of broadcasts."""
    broadcasts = _Broadcasts(context)
    surface = native(context, MAX_BODY_BYTES)
    return [
        surface.route("/api/v1/broadcasts", GET=broadcasts.all, POST=broadcasts.make),
        surface.route("/api/v1/broadcasts/preview", POST=broadcasts.preview),
        surface.route("/api/v1/broadcasts/{id}", GET=broadcasts.one, PUT=broadcasts.change),
        surface.route("/api/v1/broadcasts/{id}/minutes", GET=broadcasts.minutes),
        surface.route("/api/v1/broadcasts/{id}/unrenderable", GET=broadcasts.unrenderable),
        surface.route("/api/v1/broadcasts/{id}/estimate", POST=broadcasts.estimate),
        surface.route("/api/v1/broadcasts/{id}/preflight", POST=broadcasts.preflight),
        surface.route("/api/v1/broadcasts/{id}/start", POST=broadcasts.start),
        surface.route("/api/v1/broadcasts/{id}/pause", POST=broadcasts.pause),
        surface.route("/api/v1/broadcasts/{id}/resume", POST=broadcasts.resume),
        surface.route("/api/v1/broadcasts/{id}/cancel", POST=broadcasts.cancel),
    ]


class _Broadcasts:
    def __init__(self, context: Context) -> None:
        self._room = context.services.broadcasts
        self._audit = context.services.audit

    async def make(self, call: Call) -> Response:
        key = call.header(b"idempotency-key").decode("latin-1")
        request, start = await call.read_json(lambda body: request_of(body, key))
        made = await self._room.create(call.actor, call.workspace_id, request, start=start)
        return await self._shown(made, 201)

    async def change(self, call: Call) -> Response:
        request, start, version = await call.read_json(change_of)
        workspace, number = call.workspace_id, call.number("broadcast")
        changed = await self._room.change(call.actor, workspace, number, request, version=version)
        if start:
            changed = await self._room.start(call.actor, workspace, number, version=changed.version)
        return await self._shown(changed)

    async def preview(self, call: Call) -> Response:
        request, _ = await call.read_json(request_of)
        said = await self._room.preview(call.workspace_id, request)
        shown_to = sum(one.to is not None for one in said)
        await self._audit.tokens_read(call.actor, call.workspace_id, shown_to)
        return response.of_json(BroadcastPreviewView(preview=[PlatformPreviewView.of(one) for one in said]))

    async def all(self, call: Call) -> Response:
        query = call.queried(BroadcastsQuery)
        limit = query.limit
        _, before = validation.page(None, query.start, usual=limit, most=limit)
        if query.sort is Rank.NEWEST and not query.reverse:
            found = await self._room.all(call.workspace_id, before=before or None, limit=limit + 1)
        else:
            found = await self._room.ranked(
                call.workspace_id, query.sort, reverse=query.reverse, offset=before, limit=limit + 1
            )
        page, following = found[:limit], None
        if len(found) > limit:
            is_newest = query.sort is Rank.NEWEST and not query.reverse
            following = validation.next_page(page[-1].broadcast.broadcast_id if is_newest else before + limit)
        return response.of_json(
            BroadcastPageView(broadcasts=[BroadcastView.of(one) for one in page], next=following)
        )

    async def one(self, call: Call) -> Response:
        standing = await self._room.standing(call.workspace_id, call.number("broadcast"))
        return response.of_json(OneBroadcastView(broadcast=BroadcastView.of_standing(standing)))

    async def minutes(self, call: Call) -> Response:
        found = await self._room.minutes(call.workspace_id, call.number("broadcast"))
        return response.of_json(MinuteListView(minutes=[MinuteView.from_attributes(one) for one in found]))

    async def unrenderable(self, call: Call) -> Response:
        query = call.queried(UnrenderableQuery)
        found = await self._room.estimates.unrenderable(
            call.workspace_id, call.number("broadcast"), after=DeviceId(validation.key_of_page(query.start))
        )
        devices = [UnrenderableView.from_attributes(one, device=one.device_id.hex()) for one in found.devices]
        following = None if found.following is None else found.following.hex()
        return response.of_json(UnrenderablePageView(devices=devices, next=following))

    async def estimate(self, call: Call) -> Response:
        found = await self._room.estimate(call.workspace_id, call.number("broadcast"))
        return response.of_json(OneEstimateView(estimate=EstimateView.of(found)), 202)

    async def preflight(self, call: Call) -> Response:
        """What `estimate` does, by its former name and answer."""
        found = await self._room.estimate(call.workspace_id, call.number("broadcast"))
        return response.of_json(
            PreflightEstimateView(preflight=found.preflight, estimate=EstimateView.of(found))
        )

    async def start(self, call: Call) -> Response:
        version = (await call.read(StartRequest)).version
        return await self._changed(call, partial(self._room.start, version=version))

    async def pause(self, call: Call) -> Response:
        return await self._changed(call, self._room.pause)

    async def resume(self, call: Call) -> Response:
        return await self._changed(call, self._room.resume)

    async def cancel(self, call: Call) -> Response:
        return await self._changed(call, self._room.cancel)

    async def _changed(self, call: Call, change: Callable[..., Awaitable[Broadcast]]) -> Response:
        changed = await change(call.actor, call.workspace_id, call.number("broadcast"))
        return await self._shown(changed)

    async def _shown(self, broadcast: Broadcast, status: int = 200) -> Response:
        summary = await self._room.summary(broadcast)
        return response.of_json(OneBroadcastView(broadcast=BroadcastView.of(summary)), status)
