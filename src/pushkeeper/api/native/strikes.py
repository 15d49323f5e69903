"""Native API for reverting bounces that devices did not cause: preview, revert, and list reverts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.services.schemas.strikes import UndoListView, UndoOutcome, UndoRequest, UndoView
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.response import Response

_LAST = 100


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    undo = _Undo(context)
    surface = native(context)
    return [surface.route("/api/v1/undo", GET=undo.all, POST=undo.undo)]


class _Undo:
    def __init__(self, context: Context) -> None:
        self._strikes = context.services.strikes

    async def all(self, call: Call) -> Response:
        found = await self._strikes.all(call.workspace_id, limit=_LAST)
        return response.of_json(UndoListView(undone=[UndoView.from_attributes(one) for one in found]))

    async def undo(self, call: Call) -> Response:
        wanted = await call.read(UndoRequest)
        workspace, meant = call.workspace_id, wanted.meant()
        if wanted.is_dry_run:
            outcome = await self._strikes.preview(workspace, meant)
        else:
            outcome = await self._strikes.undo(call.actor, workspace, meant, why=wanted.why or "")
        return response.of_json(UndoOutcome.of(outcome))
