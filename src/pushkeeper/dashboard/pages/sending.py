"""Sending: the emergency switch of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.web.response import Response


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of sending."""
    room = _Sending(context)
    here, role = "/w/{workspace}/sending", Role.OPERATOR
    return [
        view(here, room.show),
        action(f"{here}/pause", "sending.pause", room.pause, room.show, role),
        action(f"{here}/resume", "sending.resume", room.resume, room.show, role),
    ]


class _Sending:
    def __init__(self, context: Context) -> None:
        self._sending = context.services.sending
        self._names = context.cookies

    async def show(self, request: PageRequest) -> Response:
        """Whether the workspace sends, and the switch."""
        return page(request, "sending.html", state=await self._sending.state(request.workspace_id))

    async def pause(self, request: PageRequest) -> ActionResult:
        await self._sending.pause(request.actor, request.workspace_id, request.form.text("reason"))
        return self._done(request, "Sending paused.")

    async def resume(self, request: PageRequest) -> ActionResult:
        await self._sending.resume(request.actor, request.workspace_id)
        return self._done(request, "Sending resumed.")

    def _done(self, request: PageRequest, notice: str) -> ActionResult:
        return ActionResult(answer=see_other(request.to("sending"), self._names.note(notice)))
