"""Reporting webhooks in Customer.io's App API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.api.customerio.app_api import render
from pushkeeper.api.style import ApiStyle
from pushkeeper.core.destination import url_fault
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.webhooks import EVENTS, WebhookChange, WebhookDefinition
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.webhooks import Webhook
    from pushkeeper.web.response import Response

MAX_NAME_BYTES = 255
MAX_ENDPOINT_BYTES = 2_000
_PREFERENCES_CHANGED = "customer_subscription_preferences_changed"
_FORMER_NAME = "customer_cio_subscription_preferences_changed"  # its name in earlier releases
_FLAGS = ("disabled", "full_resolution", "with_content")


def routes(context: Context) -> Sequence[Route]:
    """The routes of reporting webhooks."""
    webhooks = _Webhooks(context)
    surface = ApiStyle(name="app_api", authenticate=context.keys.app, render=render)
    return [
        surface.route("/v1/reporting_webhooks", GET=webhooks.all, POST=webhooks.make),
        surface.route(
            "/v1/reporting_webhooks/{id}", GET=webhooks.one, PUT=webhooks.change, DELETE=webhooks.delete
        ),
    ]


class _Webhooks:
    def __init__(self, context: Context) -> None:
        self._webhooks = context.services.webhooks

    async def all(self, call: Call) -> Response:
        found = await self._webhooks.all(call.workspace_id)
        return response.of_json({"reporting_webhooks": [webhook_json(webhook) for webhook in found]})

    async def make(self, call: Call) -> Response:
        """The key that calls are signed with is in this answer and in no other."""
        made, key = await self._webhooks.make(call.actor, call.workspace_id, await _wanted(call))
        return response.of_json({**webhook_json(made), "signing_key": key})

    async def one(self, call: Call) -> Response:
        found = await self._webhooks.one(call.workspace_id, call.number("webhook"))
        return response.of_json(webhook_json(found))

    async def change(self, call: Call) -> Response:
        changed = await self._webhooks.change(
            call.actor, call.workspace_id, call.number("webhook"), await _change(call)
        )
        return response.of_json(webhook_json(changed))

    async def delete(self, call: Call) -> Response:
        await self._webhooks.delete(call.actor, call.workspace_id, call.number("webhook"))
        return response.empty()


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """A webhook as Customer.io shows it, and how it does."""
    return {
        "id": webhook.webhook_id,
        "type": "webhook",
        "name": webhook.name,
        "endpoint": webhook.endpoint,
        "events": webhook.events,
        "disabled": webhook.disabled,
        "full_resolution": webhook.full_resolution,
        "with_content": webhook.with_content,
        "failing_since": webhook.failing_since,
        "failure": webhook.failure,
        "waiting": webhook.waiting,
    }


async def _wanted(call: Call) -> WebhookDefinition:
    body = await call.json()
    return WebhookDefinition(
        name=_name(body.get("name")),
        endpoint=_endpoint(body.get("endpoint")),
        events=_events(body.get("events")),
        **{flag: validation.optional_flag(body.get(flag), flag, default=False) for flag in _FLAGS},
    )


async def _change(call: Call) -> WebhookChange:
    """The fields of a webhook in the body; null counts as absent."""
    body = await call.json()
    given = {name: value for name, value in body.items() if value is not None}
    return WebhookChange(
        name=_name(given["name"]) if "name" in given else None,
        endpoint=_endpoint(given["endpoint"]) if "endpoint" in given else None,
        events=_events(given["events"]) if "events" in given else None,
        **{
            flag: validation.optional_flag(given[flag], flag, default=False)
            for flag in _FLAGS
            if flag in given
        },
    )


def _name(given: object) -> str:
    return validation.text(given, "name", max_bytes=MAX_NAME_BYTES)


def _events(given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or not given:
        raise BadRequest("events", "expected a list of at least one event", "wrong_type")
    return tuple(sorted({_event(event, f"events[{place}]") for place, event in enumerate(given)}))


def _event(given: object, place: str) -> str:
    known = given.lower() if isinstance(given, str) else None
    if known == _FORMER_NAME:
        return _PREFERENCES_CHANGED
    if known not in EVENTS:
        unknown = f"unknown event {given[:60]!r}; " if isinstance(given, str) else ""
        raise BadRequest(place, f"{unknown}expected one like push_sent")
    return known


def _endpoint(given: object) -> str:
    found = validation.text(given, "endpoint", max_bytes=MAX_ENDPOINT_BYTES)
    if fault := url_fault(found):
        raise BadRequest("endpoint", fault)
    return found
