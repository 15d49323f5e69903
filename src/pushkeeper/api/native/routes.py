"""Our own API, for operators: routes and what is held on them, and what a workspace chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from pushkeeper.api.native.style import native
from pushkeeper.services.schemas.routes import (
    AppliedRefusalsView,
    DiscardedRefusalsView,
    PausedRouteView,
    PauseRequest,
    ResumedRouteView,
    RouteListView,
    RouteView,
)
from pushkeeper.services.schemas.workspace import ChosenOptionsView, OptionsChange
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.response import Response


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    handlers = _Routes(context)
    surface = native(context)
    return [
        surface.route("/api/v1/routes", GET=handlers.all),
        surface.route("/api/v1/routes/{route}/pause", POST=handlers.pause),
        surface.route("/api/v1/routes/{route}/resume", POST=handlers.resume),
        surface.route("/api/v1/routes/{route}/apply", POST=handlers.apply),
        surface.route("/api/v1/routes/{route}/discard", POST=handlers.discard),
        surface.route("/api/v1/options", GET=handlers.options, PATCH=handlers.choose),
    ]


class _Routes:
    def __init__(self, context: Context) -> None:
        self._routes = context.services.routes
        self._workspaces = context.services.workspaces

    async def all(self, call: Call) -> Response:
        found = await self._routes.all(call.workspace_id)
        return response.of_json(RouteListView(routes=[RouteView.of(facts) for facts in found]))

    async def pause(self, call: Call) -> Response:
        reason = (await call.read(PauseRequest)).reason or ""
        await self._routes.pause(call.actor, call.workspace_id, call.segment("route"), reason=reason)
        return response.of_json(PausedRouteView(route=call.segment("route")))

    async def resume(self, call: Call) -> Response:
        released = await self._decided(call, self._routes.resume)
        return response.of_json(ResumedRouteView(route=call.segment("route"), released=released))

    async def apply(self, call: Call) -> Response:
        applied = await self._decided(call, self._routes.apply)
        return response.of_json(AppliedRefusalsView(route=call.segment("route"), applied=applied))

    async def discard(self, call: Call) -> Response:
        discarded = await self._decided(call, self._routes.discard)
        return response.of_json(DiscardedRefusalsView(route=call.segment("route"), discarded=discarded))

    async def _decided(self, call: Call, decide: Callable[..., Awaitable[int]]) -> int:
        return await decide(call.actor, call.workspace_id, call.segment("route"))

    async def options(self, call: Call) -> Response:
        chosen = await self._workspaces.options(call.workspace_id)
        return response.of_json(ChosenOptionsView(options=chosen))

    async def choose(self, call: Call) -> Response:
        changes = msgspec.structs.asdict(await call.read(OptionsChange))
        given = {name: value for name, value in changes.items() if value is not UNSET}
        chosen = await self._workspaces.choose(call.actor, call.workspace_id, given)
        return response.of_json(ChosenOptionsView(options=chosen))
