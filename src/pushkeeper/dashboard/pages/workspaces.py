"""Workspaces: those that there are, and another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.workspaces import Workspace
    from pushkeeper.web.response import Response

_MAX_NAME_CHARACTERS = 100
_COLUMNS: Sequence[Column[Workspace]] = (Column("workspace", lambda one: one.name),)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of the list of workspaces."""
    room = _Workspaces(context)
    return [
        view("/workspaces", room.show),
        view("/workspaces.csv", room.csv),
        action("/workspaces", "workspace.create", room.create, room.show, Role.ADMIN),
    ]


class _Workspaces:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def show(self, request: PageRequest) -> Response:
        return page(request, "workspaces.html")

    async def csv(self, request: PageRequest) -> Response:
        return csv_of("workspaces", _COLUMNS, request.workspaces)

    async def create(self, request: PageRequest) -> ActionResult:
        """Its keys are on this page and on no other."""
        name = request.form.text("name")
        # An address cannot hold a segment that is only dots.
        if not name or len(name) > _MAX_NAME_CHARACTERS or not name.isprintable() or not name.strip("."):
            raise BadRequest("name", f"expected 1 to {_MAX_NAME_CHARACTERS} characters")
        _, keys = await self._context.services.workspaces.create(request.actor, name)
        shown = {
            "Site ID": keys.site_id,
            "API key": keys.api_key,
            "App API key": keys.app_api_key,
            "Write key": keys.write_key,
        }
        return ActionResult(answer=page(request, "new_keys.html", workspace=name, keys=shown))
