"""Triggers: broadcasts that Customer.io's clients trigger: what a template says, to an audience of its own or to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.api.customerio import app_api
from pushkeeper.api.customerio.triggered_broadcasts import trigger_json
from pushkeeper.api.style import ApiStyle
from pushkeeper.core.destination import url_fault
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.errors import BadRequest, PushkeeperError, TooLarge
from pushkeeper.services import validation
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.services.broadcasts.named import MAX_DATA_BYTES, recipients_of
from pushkeeper.services.broadcasts.service import BroadcastState
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.response import Response

MAX_BODY_BYTES = 25_000_000
MAX_URL_BYTES = 2_000
_WAYS = ("recipients", "ids", "emails", "per_user_data", "data_file_url")
_FLAGS = {
    "id_ignore_missing": ("ids", "per_user_data", "data_file_url"),
    "email_ignore_missing": ("emails", "per_user_data", "data_file_url"),
    "email_add_duplicates": ("emails", "per_user_data", "data_file_url"),
}


def routes(context: Context) -> Sequence[Route]:
    """The routes of broadcasts."""
    broadcasts = _Triggers(context)
    reads = ApiStyle(name="app_api", authenticate=context.keys.app, render=app_api.render)
    triggers = ApiStyle(
        name="triggers",
        authenticate=context.keys.app,
        render=render,
        bad_request=422,
        max_body_bytes=MAX_BODY_BYTES,
    )
    one = "/v1/campaigns/{id}/triggers"
    return [
        triggers.route(one, POST=broadcasts.trigger),
        reads.route(f"{one}/{{trigger}}", GET=broadcasts.one),
        reads.route(f"{one}/{{trigger}}/errors", GET=broadcasts.errors),
    ]


def render(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """`errors` with the field as a JSON pointer, where there is one."""
    if not isinstance(error, BadRequest):
        return app_api.render(error, status)
    pointer = "".join(f"/{part}" for part in error.path)
    return {"errors": [{"detail": error.message, "source": {"pointer": pointer}, "status": str(status)}]}


class _Triggers:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def trigger(self, call: Call) -> Response:
        number = call.number("broadcast")
        request = await call.read_json(lambda body: request_of(body, number))
        made = await self._context.services.triggered.trigger(call.actor, call.workspace_id, request)
        return response.of_json({"id": made})

    async def one(self, call: Call) -> Response:
        found = await self._context.services.triggered.one(
            call.workspace_id,
            call.number("broadcast"),
            call.number("trigger", "trigger"),
        )
        return response.of_json({**trigger_json(found), "state": found.state, "devices": found.devices})

    async def errors(self, call: Call) -> Response:
        found = await self._context.services.triggered.one(
            call.workspace_id,
            call.number("broadcast"),
            call.number("trigger", "trigger"),
        )
        if found.state == BroadcastState.FAILED:
            errors = [{"detail": found.failure, "status": "422"}]
        elif found.last_error is not None:  # it is tried again
            errors = [{"detail": found.last_error, "status": "503"}]
        else:
            errors = []
        return response.of_json({"errors": errors, "next": ""})


def request_of(body: dict[str, Any], template_id: int) -> BroadcastRequest:
    """Read a trigger of a broadcast template.

    Raises:
        BadRequest, TooLarge: a field is malformed, several fields name recipients, or a flag does not apply to the one that does.
    """
    # The Go client sends an empty filter when none is given: it stands for the broadcast's own audience.
    ways = [way for way in _WAYS if body.get(way) is not None and (way, body[way]) != ("recipients", {})]
    if len(ways) > 1:
        raise BadRequest(ways[1], f"only one of {', '.join(_WAYS)} may name the recipients")
    way = ways[0] if ways else None
    ignored = {flag: _flag(body, flag, way) for flag in _FLAGS}
    data = validation.optional_object(body.get("data"), "data")
    if len(msgspec.json.encode(data)) > MAX_DATA_BYTES:
        raise TooLarge("data", f"cannot be longer than {MAX_DATA_BYTES} bytes")
    return BroadcastRequest(
        template_id=template_id,
        data=data,
        unit=Unit.PERSON,
        audience=body["recipients"] if way == "recipients" else None,
        recipients=None if way in {None, "recipients", "data_file_url"} else recipients_of(body, str(way)),
        file_url=_url(body["data_file_url"]) if way == "data_file_url" else None,
        ignore_missing=ignored["id_ignore_missing"] or ignored["email_ignore_missing"],
    )


def _flag(body: dict[str, Any], flag: str, way: str | None) -> bool:
    given = body.get(flag)
    if given is not None and way not in _FLAGS[flag]:
        raise BadRequest(flag, f"goes with {' or '.join(_FLAGS[flag])}")
    return validation.optional_flag(given, flag, default=False)


def _url(given: object) -> str:
    url = validation.text(given, "data_file_url", max_bytes=MAX_URL_BYTES)
    if fault := url_fault(url):
        raise BadRequest("data_file_url", fault)
    return url
