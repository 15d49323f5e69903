"""Our own API for "why?": one person or device, and one message or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.services import validation
from pushkeeper.services.schemas.explain import ExplainQuery
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.response import Response

MAX_MESSAGE_BYTES = 100


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    explain = _Explain(context)
    surface = native(context)
    return [surface.route("/api/v1/explain", GET=explain.why)]


class _Explain:
    def __init__(self, context: Context) -> None:
        self._explanations = context.services.explanations

    async def why(self, call: Call) -> Response:
        query = call.queried(ExplainQuery)
        person, token = query.person, query.device
        found = await self._explanations.why(
            call.workspace_id,
            person=None if person is None else validation.identifier_of_path(person, "person"),
            device=None if token is None else validation.known_token(token, "device"),
            message=validation.optional_text(query.message, "message", max_bytes=MAX_MESSAGE_BYTES),
        )
        return response.of_json(found)
