"""Our own API, for operators: routes and what is held on them, and what a workspace chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from pushkeeper.api.native.devices import render
from pushkeeper.services.schemas.routes import ChangedRouteView, PauseRequest, RouteListView, RouteView
from pushkeeper.services.schemas.workspace import ChosenOptionsView, OptionsChange
from pushkeeper.web import response
from pushkeeper.web.endpoint import ApiStyle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.web.endpoint import Call
    from pushkeeper.web.response import Answer


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    native = _Native(context)
    surface = ApiStyle(name="native", authenticate=context.keys.app, render=render)
    return [
        surface.route("/api/v1/routes", GET=native.all),
        surface.route("/api/v1/routes/{route}/pause", POST=native.pause),
        surface.route("/api/v1/routes/{route}/resume", POST=native.resume),
        surface.route("/api/v1/routes/{route}/apply", POST=native.apply),
        surface.route("/api/v1/routes/{route}/discard", POST=native.discard),
        surface.route("/api/v1/options", GET=native.options, PATCH=native.choose),
    ]


class _Native:
    def __init__(self, context: Context) -> None:
        self._routing = context.services.routes
        self._workspaces = context.services.workspaces

    async def all(self, call: Call) -> Answer:
        found = await self._routing.all(call.workspace.workspace_id)
        return response.of_json(RouteListView(routes=[RouteView.of(facts) for facts in found]))

    async def pause(self, call: Call) -> Answer:
        reason = (await call.read(PauseRequest)).reason or ""
        await self._routing.pause(
            call.actor, call.workspace.workspace_id, call.segment("route"), reason=reason
        )
        return response.of_json(ChangedRouteView(route=call.segment("route"), paused=True))

    async def resume(self, call: Call) -> Answer:
        return await self._decided(call, self._routing.resume, "released")

    async def apply(self, call: Call) -> Answer:
        return await self._decided(call, self._routing.apply, "applied")

    async def discard(self, call: Call) -> Answer:
        return await self._decided(call, self._routing.discard, "discarded")

    async def _decided(self, call: Call, decide: Callable[..., Awaitable[int]], name: str) -> Answer:
        count = await decide(call.actor, call.workspace.workspace_id, call.segment("route"))
        changed = ChangedRouteView(route=call.segment("route"))
        return response.of_json(msgspec.structs.replace(changed, **{name: count}))

    async def options(self, call: Call) -> Answer:
        chosen = await self._workspaces.options(call.workspace.workspace_id)
        return response.of_json(ChosenOptionsView(options=chosen))

    async def choose(self, call: Call) -> Answer:
        changes = msgspec.structs.asdict(await call.read(OptionsChange))
        given = {name: value for name, value in changes.items() if value is not UNSET}
        chosen = await self._workspaces.choose(call.actor, call.workspace.workspace_id, given)
        return response.of_json(ChosenOptionsView(options=chosen))
