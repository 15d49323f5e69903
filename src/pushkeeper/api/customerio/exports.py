"""Exports in Customer.io's App API: requested, polled, and downloaded by a link that needs no key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pushkeeper.api.customerio.app_api import render
from pushkeeper.api.style import MAX_KEYLESS_BYTES, ApiStyle, no_auth
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.exports.customerio import METRICS
from pushkeeper.web import response
from pushkeeper.web.response import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.exports.customerio import Export

_WINDOW = timedelta(days=183)  # six months, as messages are listed
_SOURCES = ("newsletter_id", "campaign_id", "transactional_message_id", "action_id")
_LARGEST_NUMBER = 2**63 - 1


def routes(context: Context) -> Sequence[Route]:
    """The routes of exports."""
    exports = _Exports(context)
    surface = ApiStyle(name="app_api", authenticate=context.keys.app, render=render)
    link = ApiStyle(name="app_api", authenticate=no_auth, render=render, max_body_bytes=MAX_KEYLESS_BYTES)
    return [
        surface.route("/v1/exports", GET=exports.all),
        surface.route("/v1/exports/customers", POST=exports.of_people),
        surface.route("/v1/exports/deliveries", POST=exports.of_deliveries),
        surface.route("/v1/exports/{id}", GET=exports.one),
        surface.route("/v1/exports/{id}/download", GET=exports.link),
        link.route("/exports/{link}", GET=exports.file),
    ]


class _Exports:
    def __init__(self, context: Context) -> None:
        self._exports = context.services.customerio_exports
        self._url = context.url

    async def all(self, call: Call) -> Response:
        found = await self._exports.all(call.workspace_id)
        return response.of_json({"exports": [export_json(one) for one in found]})

    async def one(self, call: Call) -> Response:
        found = await self._exports.one(call.workspace_id, call.number("export"))
        return response.of_json({"export": export_json(found)})

    async def of_people(self, call: Call) -> Response:
        body = await call.json()
        made = await self._exports.of_people(
            call.actor, call.workspace_id, body.get("filters"), _columns(body.get("attributes"))
        )
        return response.of_json({"export": export_json(made)})

    async def of_deliveries(self, call: Call) -> Response:
        body = await call.json()
        made = await self._exports.of_deliveries(
            call.actor, call.workspace_id, _wanted(body), _columns(body.get("attributes"))
        )
        return response.of_json({"export": export_json(made)})

    async def link(self, call: Call) -> Response:
        link = await self._exports.link(call.actor, call.workspace_id, call.number("export"))
        return response.of_json({"url": f"{self._url}/exports/{link}"})

    async def file(self, call: Call) -> Response:
        """The text, whole: an export is as large as what one person may read."""
        workspace, export_id = self._exports.opened_by(call.segment("link"))
        text = "".join([part async for part in self._exports.text(workspace, export_id)])
        name = f'attachment; filename="export-{export_id}.csv"'.encode()
        return Response(
            text.encode(),
            headers=((b"content-disposition", name),),
            content_type=b"text/csv; charset=utf-8",
        )


def export_json(export: Export) -> dict[str, Any]:
    """An export as Customer.io shows it."""
    return {
        "id": export.export_id,
        "deduplicate_id": f"{export.export_id}:{int(export.updated_at.timestamp())}",
        "type": export.kind,
        "status": export.state,
        "failed": export.state == "failed",
        "failure": export.failure or export.last_error,
        "attempts": export.attempts,
        "description": f"{export.kind} of {export.created_at:%Y-%m-%d %H:%M} UTC",
        "total": export.lines,
        "downloads": 0,
        "created_at": int(export.created_at.timestamp()),
        "updated_at": int(export.updated_at.timestamp()),
    }


def _columns(given: object) -> list[str] | None:
    """The attributes that get a column each; None for all of them in one.

    Raises:
        BadRequest, TooLarge: it is not a list of names.
    """
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > validation.MAX_ATTRIBUTES:
        raise BadRequest(
            "attributes", f"expected a list of at most {validation.MAX_ATTRIBUTES} names", "wrong_type"
        )
    names = [
        validation.text(name, f"attributes[{place}]", max_bytes=validation.MAX_NAME_BYTES)
        for place, name in enumerate(given)
    ]
    return list(dict.fromkeys(names))


def _wanted(body: dict[str, Any]) -> dict[str, Any]:
    """Which deliveries: of one source, in a time, with a metric.

    Raises:
        BadRequest: a field is malformed.
    """
    template: int | None = None
    for source in _SOURCES:
        if (given := body.get(source)) is not None:
            if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= _LARGEST_NUMBER:
                raise BadRequest(source, "expected a number")
            template = given
    until = validation.optional_time(body.get("end"), "end") or datetime.now(UTC) + timedelta(seconds=1)
    since = validation.optional_time(body.get("start"), "start") or until - _WINDOW
    metric = body.get("metric")
    return {
        "template_id": template,
        "since": since.timestamp(),
        "until": until.timestamp(),
        "metric": None
        if metric is None
        else validation.one_of(metric, "metric", ("created", "attempted", *METRICS)),
        "drafts": validation.optional_flag(body.get("drafts"), "drafts", default=False),
    }
