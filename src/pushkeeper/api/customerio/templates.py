"""Templates as Customer.io's APIs show them, as transactional messages; their texts can be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.api.customerio import app_api, template_metrics
from pushkeeper.api.customerio.template_languages import change_variant, content_id, languages, variant_json
from pushkeeper.api.style import ApiStyle
from pushkeeper.errors import NotFound
from pushkeeper.services.messages.templates import TemplateKind
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.messages.templates import Template
    from pushkeeper.web.response import Response


def routes(context: Context) -> Sequence[Route]:
    """The routes of templates."""
    templates = _Templates(context)
    surface = ApiStyle(name="app_api", authenticate=context.keys.app, render=app_api.render)
    one = "/v1/transactional/{id}"
    return [
        surface.route("/v1/transactional", GET=templates.transactional),
        surface.route(one, GET=templates.message),
        surface.route(f"{one}/contents", GET=templates.contents),
        surface.route(f"{one}/content/{{content}}", PUT=templates.change_content),
        surface.route(
            f"{one}/language/{{language}}", GET=templates.translation, PUT=templates.change_translation
        ),
        surface.route(f"{one}/metrics", GET=templates.metrics),
        surface.route(f"{one}/metrics/links", GET=templates.links),
    ]


class _Templates:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._templates = context.services.templates

    async def transactional(self, call: Call) -> Response:
        found = await self._templates.all(call.workspace_id, TemplateKind.TRANSACTIONAL)
        return response.of_json({"messages": [message_json(template) for template in found]})

    async def message(self, call: Call) -> Response:
        return response.of_json({"message": message_json(await self._transactional(call))})

    async def contents(self, call: Call) -> Response:
        template = await self._transactional(call)
        return response.of_json(
            {"contents": [variant_json(template, language) for language in languages(template)]}
        )

    async def translation(self, call: Call) -> Response:
        template = await self._transactional(call)
        language = call.segment("language")
        if language not in languages(template):
            raise NotFound("Translation not found")
        return response.of_json({"content": variant_json(template, language)})

    async def change_content(self, call: Call) -> Response:
        template = await self._transactional(call)
        wanted = call.segment("content")
        for language in languages(template):
            if str(content_id(template, language)) == wanted:
                return await self._change(call, template, language)
        raise NotFound("Content not found")

    async def change_translation(self, call: Call) -> Response:
        return await self._change(call, await self._transactional(call), call.segment("language"))

    async def metrics(self, call: Call) -> Response:
        return await template_metrics.metrics(
            call, self._context.services.deliveries, await self._transactional(call)
        )

    async def links(self, call: Call) -> Response:
        return await template_metrics.links(
            call, self._context.services.deliveries, await self._transactional(call)
        )

    async def _change(self, call: Call, template: Template, language: str) -> Response:
        kept = await change_variant(call, self._templates, template, language)
        return response.of_json({"content": variant_json(kept, language)})

    async def _transactional(self, call: Call) -> Template:
        return await self._templates.one(
            call.workspace_id, call.number("template"), TemplateKind.TRANSACTIONAL
        )


def message_json(template: Template) -> dict[str, Any]:
    """A template as Customer.io shows a transactional message."""
    return {
        "id": template.template_id,
        "name": template.name,
        "description": template.description,
        "trigger_name": template.trigger_name,
        "send_to_unsubscribed": template.send_to_unsubscribed,
        "link_tracking": False,
        "open_tracking": False,
        "hide_message_body": False,
        "queue_drafts": False,
        "created_at": int(template.created_at.timestamp()),
        "updated_at": int(template.updated_at.timestamp()),
    }
