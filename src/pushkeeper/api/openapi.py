"""Our own API described as OpenAPI 3.1; `api/openapi_page.py` shows it to people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pushkeeper import __version__
from pushkeeper.api import answer
from pushkeeper.api.answer import Answer
from pushkeeper.api.openapi_page import page
from pushkeeper.api.surface import Surface, let_in
from pushkeeper.core.filter import Unit
from pushkeeper.core.model import Platform
from pushkeeper.core.status import LastStatus
from pushkeeper.core.wording import WhenUndefined
from pushkeeper.store.templates import TemplateKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.surface import Call

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_OBJECT: Schema = {"type": "object"}
_FLAG: Schema = {"type": "boolean"}
_UNIX: Schema = {"type": "integer", "minimum": 0, "maximum": 253_402_300_799}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _record(required: dict[str, Schema], **more: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **more}}


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


_CONTENT: dict[str, Schema] = {
    "title": _MAYBE_TEXT,
    "message": _MAYBE_TEXT,
    "link": _MAYBE_TEXT,
    "image_url": _MAYBE_TEXT,
    "sound": {"enum": ["default", "none", None]},
    "custom_data": _OBJECT,
    "custom_payload": {"type": "object", "properties": {"ios": _OBJECT, "android": _OBJECT}},
}
_TEMPLATE_PARTS: dict[str, Schema] = {
    "kind": {"enum": [kind.value for kind in TemplateKind]},
    "name": {"type": "string", "minLength": 1, "maxLength": 255},
}
_TEMPLATE_MORE: dict[str, Schema] = {
    "trigger_name": _MAYBE_TEXT,
    "description": _MAYBE_TEXT,
    **_CONTENT,
    "translations": {"type": "object", "additionalProperties": {"type": "object", "properties": _CONTENT}},
    "when_undefined": {"enum": [when.value for when in WhenUndefined]},
    "send_to_unsubscribed": {"type": ["boolean", "null"]},
    "audience": {"type": ["object", "null"]},
}
_OPTIONS: dict[str, Schema] = {
    "suppress_after": _whole(1, 100),
    "min_strike_gap_s": _whole(0, 31_536_000),
    "suppress_on_definitive": _FLAG,
    "delete_unregistered": _FLAG,
    "max_pushes_per_s": {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000},
    "ramp_s": _whole(0, 3_600),
    "token_ownership": {"enum": ["move", "share"]},
}
SCHEMAS: dict[str, Schema] = {
    "Error": _record({"error": _record({"code": _TEXT, "message": _TEXT}, field=_TEXT)}),
    "Device": _record(
        {
            "token": _TEXT,
            "id_kind": {"enum": ["token", "fid"]},
            "platform": {"enum": [platform.value for platform in Platform]},
            "person": _TEXT,
            "app": _TEXT,
            "environment": _TEXT,
            "last_status": {"enum": [status.value for status in LastStatus]},
            "strikes": {"type": "integer"},
            "generation": {"type": "integer"},
            "attributes": _OBJECT,
            "created_at": _TEXT,
            "registered_at": _TEXT,
            "last_used": _TEXT,
        }
    ),
    "Template": _record(
        {**_TEMPLATE_PARTS, "id": {"type": "integer"}, "created_at": _TEXT, "updated_at": _TEXT},
        **_TEMPLATE_MORE,
    ),
    "NewTemplate": _record(_TEMPLATE_PARTS, **_TEMPLATE_MORE),
    "Options": _record(_OPTIONS),
    "OptionsChange": {"type": "object", "properties": _OPTIONS, "additionalProperties": False},
}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path: what it does, takes and answers.

    Attributes:
        query: parameters by name.
        refused: statuses that it may answer beside those that all may.
    """

    summary: str
    answer: Schema | None
    status: int = 200
    query: dict[str, Schema] = field(default_factory=dict)
    body: Schema | None = None
    refused: tuple[int, ...] = ()


_LIMIT = {"limit": _whole(1, 1_000)}
_AUDIENCE: Schema = _record(
    {"filter": {"type": ["object", "string"], "description": "as a tree, or as text: platform = ios"}},
    unit={"enum": [unit.value for unit in Unit]},
)
_WHOSE: dict[str, Schema] = {
    "person": {
        "type": "string",
        "pattern": "^[0-9a-f]{12,16}$",
        "description": "the cio_id of whose device it is, where several share a token",
    }
}
_SEARCH: dict[str, Schema] = {
    "last_status": {"enum": ["", "unused", *(status.value for status in LastStatus if status)]},
    "platform": {"enum": [platform.value for platform in Platform]},
    "app": _TEXT,
    "used_since": _UNIX,
    "used_before": _UNIX,
    "attribute": {"type": "string", "pattern": "^[^=]+=.*$", "description": "name=value"},
    "start": {"type": "string", "description": "the `next` of the page before"},
    **_LIMIT,
}
_COUNT: Schema = {"type": "integer"}
_ROUTE = "/api/v1/routes/{route}"

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/api/v1/devices"): Operation(
        summary="Devices by what they are, a page at a time",
        query=_SEARCH,
        answer=_record({"devices": _list(_ref("Device")), "next": _MAYBE_TEXT}),
    ),
    ("GET", "/api/v1/devices/{token}"): Operation(
        summary="One device, by its token or installation id",
        query=_WHOSE,
        answer=_ref("Device"),
        refused=(404,),
    ),
    ("GET", "/api/v1/devices/{token}/history"): Operation(
        summary="What happened to a device, the newest first; it outlives the device",
        query={**_LIMIT, **_WHOSE},
        answer=_record({"history": _list(_OBJECT)}),
        refused=(404,),
    ),
    ("GET", "/api/v1/devices/{token}/pushes"): Operation(
        summary="What came of the pushes to a device, the newest first",
        query={**_LIMIT, **_WHOSE},
        answer=_record({"pushes": _list(_OBJECT)}),
        refused=(404,),
    ),
    ("POST", "/api/v1/audiences/count"): Operation(
        summary="How many people and devices a filter is true of",
        body=_AUDIENCE,
        answer=_record({"people": _COUNT, "devices": _COUNT}),
    ),
    ("POST", "/api/v1/audiences/sample"): Operation(
        summary="Some of the devices that a filter is true of, the same whenever it is asked",
        query=_LIMIT,
        body=_AUDIENCE,
        answer=_record({"devices": _list(_ref("Device"))}),
    ),
    ("POST", "/api/v1/audiences/preview"): Operation(
        summary="Which devices would be taken in or left out wrongly if the filter were read of people",
        body=_AUDIENCE,
        answer=_record(
            {
                "people": _COUNT,
                "devices": _COUNT,
                "wrongly_included": _COUNT,
                "wrongly_excluded": _COUNT,
                "examples": _list(_OBJECT),
            }
        ),
    ),
    ("GET", "/api/v1/stats/devices"): Operation(
        summary="Devices by platform and last status",
        answer=_record({"counts": _list(_OBJECT), "totals": _OBJECT, "devices": _COUNT}),
    ),
    ("GET", "/api/v1/stats/pushes"): Operation(
        summary="What the push services answered in the last days",
        query={"days": _whole(1, 366)},
        answer=_record({"days": _COUNT, "counts": _list(_OBJECT)}),
    ),
    ("GET", "/api/v1/routes"): Operation(
        summary="Routes: how each stands, and what waits or is held on it",
        answer=_record({"routes": _list(_OBJECT)}),
    ),
    ("POST", f"{_ROUTE}/pause"): Operation(
        summary="Send nothing on a route until it is resumed",
        body={"type": "object", "properties": {"reason": _TEXT}},
        answer=_record({"route": _TEXT, "paused": _FLAG}),
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/resume"): Operation(
        summary="Send on a route again",
        answer=_record({"route": _TEXT, "released": _COUNT}),
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/apply"): Operation(
        summary="Believe the refusals that are held: their devices bounce",
        answer=_record({"route": _TEXT, "applied": _COUNT}),
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/discard"): Operation(
        summary="Do not believe the refusals that are held: they are sent again",
        answer=_record({"route": _TEXT, "discarded": _COUNT}),
        refused=(404, 409),
    ),
    ("GET", "/api/v1/options"): Operation(
        summary="What the workspace chose", answer=_record({"options": _ref("Options")})
    ),
    ("PATCH", "/api/v1/options"): Operation(
        summary="Choose anew what is named; the rest stays",
        body=_ref("OptionsChange"),
        answer=_record({"options": _ref("Options")}),
        refused=(409,),
    ),
    ("GET", "/api/v1/templates"): Operation(
        summary="Templates, the oldest first",
        query={"kind": _TEMPLATE_PARTS["kind"]},
        answer=_record({"templates": _list(_ref("Template"))}),
    ),
    ("POST", "/api/v1/templates"): Operation(
        summary="Write a template; its texts are Liquid",
        body=_ref("NewTemplate"),
        status=201,
        answer=_record({"template": _ref("Template")}),
        refused=(409,),
    ),
    ("GET", "/api/v1/templates/{id}"): Operation(
        summary="One template", answer=_record({"template": _ref("Template")}), refused=(404,)
    ),
    ("PUT", "/api/v1/templates/{id}"): Operation(
        summary="Write a template anew; what is queued from it stays as it is",
        body=_ref("NewTemplate"),
        answer=_record({"template": _ref("Template")}),
        refused=(404, 409),
    ),
    ("DELETE", "/api/v1/templates/{id}"): Operation(
        summary="Forget a template; what was sent from it stays", status=204, answer=None, refused=(404,)
    ),
    ("DELETE", "/api/v1/drafts/{id}"): Operation(
        summary="Do not send what was drafted", status=204, answer=None, refused=(404,)
    ),
    ("POST", "/api/v1/drafts/{id}/send"): Operation(
        summary="Send what was drafted", answer=_record({"delivery_id": _TEXT}), refused=(404,)
    ),
}

_SAID = {
    400: "A field is missing or malformed; the error names it",
    401: "There is no key, or it is not one of ours",
    404: "There is none of this name",
    409: "The name is taken, or it does not stand so that this can be done",
    413: "The body is longer than a megabyte",
    429: "The key has made all the calls that it may in this second",
    503: "The database does not answer",
}
_ALWAYS = (400, 401, 429, 503)


def document() -> dict[str, Any]:
    """The description."""
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = _operation(path, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pushkeeper",
            "version": __version__,
            "description": "What Customer.io's APIs have no call for. Theirs are answered at the same address.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"app_api_key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"app_api_key": []}],
    }


def _operation(path: str, operation: Operation) -> dict[str, Any]:
    named = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in named]
    parameters += [
        {"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()
    ]
    refusals = sorted({*_ALWAYS, *operation.refused, *((413,) if operation.body else ())})
    described: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            str(operation.status): _response("Done", operation.answer),
            **{str(status): _response(_SAID[status], _ref("Error")) for status in refusals},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": operation.body}},
        }
    return described


def _response(said: str, schema: Schema | None) -> dict[str, Any]:
    content = {} if schema is None else {"content": {"application/json": {"schema": schema}}}
    return {"description": said, **content}


def routes() -> Sequence[Route]:
    """The routes of the description, which need no key."""
    surface = Surface(authenticate=let_in, render=lambda error, _: {"error": {"message": error.message}})
    return [
        surface.route("/api/openapi.json", GET=_described),
        surface.route("/api/docs", GET=_shown),
    ]


async def _described(call: Call) -> Answer:
    del call
    return answer.of_json(document())


async def _shown(call: Call) -> Answer:
    del call
    return Answer(page(document()).encode(), content_type=b"text/html; charset=utf-8")
