"""Native API for erasures: request one, and look it up by its receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.services import validation
from pushkeeper.services.people import RequestedBy
from pushkeeper.services.schemas.people import (
    BegunErasureView,
    ErasureListView,
    ErasuresQuery,
    ErasureView,
    OneErasureView,
)
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.response import Response


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    erasures = _Erasures(context)
    surface = native(context)
    return [
        surface.route("/api/v1/customers/{identifier}/erase", POST=erasures.erase),
        surface.route("/api/v1/erasures", GET=erasures.all),
        surface.route("/api/v1/erasures/{id}", GET=erasures.one),
    ]


class _Erasures:
    def __init__(self, context: Context) -> None:
        self._people = context.services.people
        self._url = context.url

    async def erase(self, call: Call) -> Response:
        """Begin, and say where the receipt is."""
        found = await self._people.erase(
            call.actor,
            call.workspace_id,
            validation.identifier_of_path(call.segment("identifier")),
            by=RequestedBy.API,
            request_id=call.request_id,
        )
        address = f"{self._url}/api/v1/erasures/{found.erasure_id}"
        return response.of_json(
            BegunErasureView(erasure=ErasureView.of(found), receipt=address),
            202,
            (b"location", address.encode()),
        )

    async def all(self, call: Call) -> Response:
        """The latest erasures; with an identifier, those of anybody who had it."""
        text = call.queried(ErasuresQuery).identifier
        of = None if text is None else validation.identifier_of_path(text)
        found = await self._people.receipts(call.workspace_id, of)
        return response.of_json(ErasureListView(erasures=[ErasureView.of(one) for one in found]))

    async def one(self, call: Call) -> Response:
        number = call.number("erasure")
        found = await self._people.receipt(call.workspace_id, number)
        return response.of_json(OneErasureView(erasure=ErasureView.of(found)))
