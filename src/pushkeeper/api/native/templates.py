"""Our own API for templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.services.schemas.templates import (
    NewTemplate,
    OneTemplateView,
    TemplateListView,
    TemplatesQuery,
    TemplateView,
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
    templates = _Templates(context)
    surface = native(context)
    return [
        surface.route("/api/v1/templates", GET=templates.all, POST=templates.make),
        surface.route(
            "/api/v1/templates/{id}", GET=templates.one, PUT=templates.change, DELETE=templates.delete
        ),
    ]


class _Templates:
    def __init__(self, context: Context) -> None:
        self._templates = context.services.templates

    async def all(self, call: Call) -> Response:
        kind = call.queried(TemplatesQuery).kind
        found = await self._templates.all(call.workspace_id, kind)
        return response.of_json(TemplateListView(templates=[TemplateView.of(template) for template in found]))

    async def make(self, call: Call) -> Response:
        made = await self._templates.make(
            call.actor, call.workspace_id, (await call.read(NewTemplate)).draft()
        )
        return response.of_json(OneTemplateView(template=TemplateView.of(made)), 201)

    async def one(self, call: Call) -> Response:
        found = await self._templates.one(call.workspace_id, call.number("template"))
        return response.of_json(OneTemplateView(template=TemplateView.of(found)))

    async def change(self, call: Call) -> Response:
        changed = await self._templates.change(
            call.actor, call.workspace_id, call.number("template"), (await call.read(NewTemplate)).draft()
        )
        return response.of_json(OneTemplateView(template=TemplateView.of(changed)))

    async def delete(self, call: Call) -> Response:
        await self._templates.delete(call.actor, call.workspace_id, call.number("template"))
        return response.empty()
