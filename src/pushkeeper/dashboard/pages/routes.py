"""Routes: their status, and an operator's actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui import labels
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import NotFound
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.core.actor import Actor
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.routes import RouteRecord
    from pushkeeper.web.response import Response

_COLUMNS: Sequence[Column[RouteRecord]] = (
    Column("route", lambda one: one.route.name),
    Column("state", lambda one: one.state),
    Column("accepted_24h", lambda one: one.health.accepted),
    Column("refused_ambiguous_24h", lambda one: one.health.ambiguous),
    Column("refused_definite_24h", lambda one: one.health.definite),
    Column("other_24h", lambda one: one.health.other),
    Column("waiting", lambda one: one.health.waiting),
    Column("held", lambda one: one.health.held_verdicts),
    Column("paused_at", lambda one: one.route.paused_at),
    Column("pause_kind", lambda one: one.route.pause_kind),
    Column("pause_reason", lambda one: one.route.pause_reason),
    Column("endpoint", lambda one: one.route.endpoint_url),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of routes."""
    routes = _Routes(context)
    one, role = "/w/{workspace}/routes/{route}", Role.OPERATOR
    return [
        view("/w/{workspace}/routes", routes.show_all),
        view("/w/{workspace}/routes.csv", routes.csv),
        view(one, routes.show),
        action(f"{one}/pause", "route.pause", routes.pause, routes.show, role),
        action(f"{one}/resume", "route.resume", routes.resume, routes.show, role),
        action(f"{one}/apply", "route.apply", routes.apply, routes.show, role),
        action(f"{one}/discard", "route.discard", routes.discard, routes.show, role),
    ]


class _Routes:
    def __init__(self, context: Context) -> None:
        self._routing = context.services.routes
        self._credentials = context.services.credentials
        self._names = context.cookies

    async def show_all(self, request: PageRequest) -> Response:
        """All routes, and the credentials that they are of."""
        found = await self._routing.all(request.workspace_id)
        known = await self._credentials.of_workspace(request.workspace_id)
        template = "routes_live.html" if request.fragment else "routes.html"
        return page(request, template, routes=found, credentials=known)

    async def csv(self, request: PageRequest) -> Response:
        return csv_of("routes", _COLUMNS, await self._routing.all(request.workspace_id))

    async def show(self, request: PageRequest) -> Response:
        """One route."""
        name = request.segments["route"]
        for facts in await self._routing.all(request.workspace_id):
            if facts.route.name == name:
                template = "route_live.html" if request.fragment else "route.html"
                return page(request, template, one=facts)
        raise NotFound("Route not found")

    async def pause(self, request: PageRequest) -> ActionResult:
        reason = request.form.text("reason")
        await self._routing.pause(
            request.actor, request.workspace_id, request.segments["route"], reason=reason
        )
        return self._done(request, "Route paused. New pushes are queued.")

    async def resume(self, request: PageRequest) -> ActionResult:
        return await self._decided(
            request,
            self._routing.resume,
            lambda n: f"Route resumed ({labels.plural(n, 'queued push', 'queued pushes')}).",
        )

    async def apply(self, request: PageRequest) -> ActionResult:
        return await self._decided(
            request,
            self._routing.apply,
            lambda n: f"{labels.plural(n, 'rejection')} applied.",
        )

    async def discard(self, request: PageRequest) -> ActionResult:
        return await self._decided(
            request,
            self._routing.discard,
            lambda n: f"{labels.plural(n, 'rejection')} discarded. Their pushes will be resent.",
        )

    async def _decided(
        self,
        request: PageRequest,
        decide: Callable[[Actor, WorkspaceId, str], Awaitable[int]],
        say: Callable[[int], str],
    ) -> ActionResult:
        count = await decide(request.actor, request.workspace_id, request.segments["route"])
        return self._done(request, say(count))

    def _done(self, request: PageRequest, notice: str) -> ActionResult:
        answer = see_other(request.to("routes", request.segments["route"]), self._names.note(notice))
        return ActionResult(answer=answer)
