"""Snippets, as Customer.io's API shows and changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.api.customerio import triggers
from pushkeeper.api.style import ApiStyle
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.messages.snippets import Snippet
    from pushkeeper.web.response import Response

_UNPROCESSABLE = 422


def routes(context: Context) -> Sequence[Route]:
    """The routes of snippets."""
    snippets = _Snippets(context)
    surface = ApiStyle(name="triggers", authenticate=context.keys.app, render=triggers.render)
    return [
        surface.route("/v1/snippets", GET=snippets.all, POST=snippets.make, PUT=snippets.put),
        surface.route("/v1/snippets/{snippet}", DELETE=snippets.delete),
    ]


class _Snippets:
    def __init__(self, context: Context) -> None:
        self._snippets = context.services.snippets

    async def all(self, call: Call) -> Response:
        found = await self._snippets.all(call.workspace_id)
        return response.of_json({"snippets": [snippet_json(one) for one in found]})

    async def make(self, call: Call) -> Response:
        try:
            made = await self._snippets.make(call.actor, call.workspace_id, *await _asked(call))
        except BadRequest as error:  # 422 as documented, where their PUT of the same answers 400
            return response.of_json(triggers.render(error, _UNPROCESSABLE), _UNPROCESSABLE)
        return response.of_json({"snippet": snippet_json(made)})

    async def put(self, call: Call) -> Response:
        kept = await self._snippets.put(call.actor, call.workspace_id, *await _asked(call))
        return response.of_json({"snippet": snippet_json(kept)})

    async def delete(self, call: Call) -> Response:
        await self._snippets.delete(call.actor, call.workspace_id, call.segment("snippet"))
        return response.empty()


def snippet_json(snippet: Snippet) -> dict[str, Any]:
    """A snippet as Customer.io shows it."""
    return {
        "name": snippet.name,
        "value": snippet.value,
        "updated_at": int(snippet.updated_at.timestamp()),
    }


async def _asked(call: Call) -> tuple[str, str]:
    """The name and the value of a snippet in a body.

    Raises:
        BadRequest: one of them is not a string.
    """
    body = await call.json()
    return (
        validation.optional_text(body.get("name"), "name") or "",
        validation.optional_text(body.get("value"), "value") or "",
    )
