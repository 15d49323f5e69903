"""Our own API for exports: a file that is sent while it is read, and the list of exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.services.exports.service import LONGEST_S
from pushkeeper.services.schemas.exports import ExportListView, ExportRequest, ExportView
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.response import Response


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    exports = _Exports(context)
    surface = native(context)
    return [
        surface.route("/api/v1/exports", GET=exports.all, POST=exports.make),
        surface.route("/api/v1/exports/{id}", GET=exports.one),
        surface.route("/api/v1/exports/{id}/cancel", POST=exports.cancel),
    ]


class _Exports:
    def __init__(self, context: Context) -> None:
        self._exports = context.services.exports

    async def all(self, call: Call) -> Response:
        found = await self._exports.all(call.workspace_id)
        return response.of_json(ExportListView(exports=[ExportView.of(one) for one in found]))

    async def one(self, call: Call) -> Response:
        return response.of_json(
            ExportView.of(await self._exports.one(call.workspace_id, call.number("export")))
        )

    async def make(self, call: Call) -> Response:
        """Stream the file. If the client disconnects before its end, the export is listed as cancelled."""
        wanted = (await call.read(ExportRequest)).wanted()
        stream = await self._exports.stream(call.actor, call.workspace_id, wanted, longest_s=LONGEST_S)
        return response.download(
            stream.file_name, stream.parts, (b"x-export-id", b"%d" % stream.export.export_id)
        )

    async def cancel(self, call: Call) -> Response:
        await self._exports.cancel(call.actor, call.workspace_id, call.number("export"))
        return response.empty()
