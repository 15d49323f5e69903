"""API-triggered broadcasts, as Customer.io's API shows and changes them: templates of the kind `broadcast`, with one action each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.api.customerio import template_metrics
from pushkeeper.api.customerio.app_api import render
from pushkeeper.api.customerio.template_languages import change_variant, content_id, languages, variant_json
from pushkeeper.api.style import ApiStyle
from pushkeeper.errors import NotFound
from pushkeeper.services import validation
from pushkeeper.services.messages.templates import TemplateKind
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.broadcasts.service import Broadcast
    from pushkeeper.services.messages.templates import Template
    from pushkeeper.web.response import Response

_MOST_TRIGGERS = 1_000


def routes(context: Context) -> Sequence[Route]:
    """The routes of API-triggered broadcasts."""
    broadcasts = _Broadcasts(context)
    surface = ApiStyle(name="app_api", authenticate=context.keys.app, render=render)
    one = "/v1/broadcasts/{id}"
    action = f"{one}/actions/{{action}}"
    return [
        surface.route("/v1/broadcasts", GET=broadcasts.all),
        surface.route(one, GET=broadcasts.one),
        surface.route(f"{one}/triggers", GET=broadcasts.triggers),
        surface.route(f"{one}/metrics", GET=broadcasts.metrics),
        surface.route(f"{one}/metrics/links", GET=broadcasts.links),
        surface.route(f"{one}/actions", GET=broadcasts.actions),
        surface.route(action, GET=broadcasts.action, PUT=broadcasts.change_action),
        surface.route(f"{action}/metrics", GET=broadcasts.metrics),
        surface.route(f"{action}/metrics/links", GET=broadcasts.links),
        surface.route(
            f"{action}/language/{{language}}", GET=broadcasts.translation, PUT=broadcasts.change_translation
        ),
    ]


class _Broadcasts:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def all(self, call: Call) -> Response:
        found = await self._context.services.templates.all(call.workspace_id, TemplateKind.BROADCAST)
        return response.of_json({"broadcasts": [broadcast_json(template) for template in found]})

    async def one(self, call: Call) -> Response:
        return response.of_json({"broadcast": broadcast_json(await self._template(call))})

    async def triggers(self, call: Call) -> Response:
        """The triggers of the broadcast, newest first."""
        template = await self._template(call)
        limit, before = validation.page(
            call.query("limit"), call.query("start"), usual=_MOST_TRIGGERS, most=_MOST_TRIGGERS
        )
        found = await self._context.services.triggered.all(
            call.workspace_id, template.template_id, before=before or None, limit=limit + 1
        )
        page = found[:limit]
        following = validation.next_page(page[-1].broadcast_id) if len(found) > limit else ""
        return response.of_json({"triggers": [trigger_json(one) for one in page], "next": following})

    async def metrics(self, call: Call) -> Response:
        return await template_metrics.metrics(
            call, self._context.services.deliveries, await self._template(call)
        )

    async def links(self, call: Call) -> Response:
        return await template_metrics.links(
            call, self._context.services.deliveries, await self._template(call)
        )

    async def actions(self, call: Call) -> Response:
        """The action of the broadcast, once for each language."""
        template = await self._template(call)
        return response.of_json(
            {"actions": [action_json(template, language) for language in languages(template)]}
        )

    async def action(self, call: Call) -> Response:
        return response.of_json({"action": action_json(await self._template(call), "")})

    async def change_action(self, call: Call) -> Response:
        return await self._change(call, await self._template(call), "")

    async def translation(self, call: Call) -> Response:
        template = await self._template(call)
        return response.of_json({"action": action_json(template, _language(call, template))})

    async def change_translation(self, call: Call) -> Response:
        template = await self._template(call)
        return await self._change(call, template, _language(call, template))

    async def _change(self, call: Call, template: Template, language: str) -> Response:
        changed = await change_variant(call, self._context.services.templates, template, language)
        return response.of_json({"action": action_json(changed, language)})

    async def _template(self, call: Call) -> Template:
        """The broadcast in the path; its action, if the path has one, has the same number.

        Raises:
            NotFound: there is no such broadcast, or it has no such action.
        """
        number = call.number("broadcast")
        template = await self._context.services.templates.one(
            call.workspace_id, number, TemplateKind.BROADCAST
        )
        if "action" in call.request.scope["path_params"] and call.segment("action") != str(
            template.template_id
        ):
            raise NotFound("Action not found")
        return template


def broadcast_json(template: Template) -> dict[str, Any]:
    """A template as Customer.io shows an API-triggered broadcast: always running."""
    created, updated = int(template.created_at.timestamp()), int(template.updated_at.timestamp())
    push = {"id": template.template_id, "type": "push"}
    return {
        "id": template.template_id,
        "deduplicate_id": f"{template.template_id}:{updated}",
        "name": template.name,
        "type": "triggered_broadcast",
        "created": created,
        "updated": updated,
        "active": True,
        "state": "running",
        "actions": [push],
        "msg_template_ids": [push],
        "first_started": created,
        "tags": [],
    }


def action_json(template: Template, language: str) -> dict[str, Any]:
    """A broadcast's content in one language, `""` being the default; each language has its own content number."""
    shown = variant_json(template, language)
    return {
        **shown,
        "id": template.template_id,
        "broadcast_id": template.template_id,
        "content_id": content_id(template, language),
        "deduplicate_id": f"{template.template_id}:{shown['updated']}",
        "layout": "",
        "sending_state": "automatic",
        "recipient": "",
    }


def trigger_json(triggered: Broadcast) -> dict[str, Any]:
    """One time that a broadcast was triggered; `processed_at` is null until it is planned."""
    planned = triggered.planned_at
    return {
        "id": triggered.broadcast_id,
        "broadcast_id": triggered.template_id,
        "created_at": int(triggered.created_at.timestamp()),
        "processed_at": None if planned is None else int(planned.timestamp()),
    }


def _language(call: Call, template: Template) -> str:
    language = call.segment("language")
    if language not in template.translations:
        raise NotFound("Translation not found")
    return language
