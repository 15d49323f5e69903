"""Our own API described as OpenAPI 3.1; `api/openapi_page.py` shows it to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper import __version__
from pushkeeper.api.openapi.operations import TAGS
from pushkeeper.api.openapi.page import errors_page, page
from pushkeeper.api.openapi.schema import ref
from pushkeeper.api.openapi.schemas import SCHEMAS
from pushkeeper.api.openapi.structs import Structs
from pushkeeper.api.style import MAX_KEYLESS_BYTES, ApiStyle, no_auth
from pushkeeper.errors import DOCS_PATH
from pushkeeper.web import response
from pushkeeper.web.response import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.routing import Route

    from pushkeeper.api.openapi.operation import Operation
    from pushkeeper.api.openapi.schema import Schema
    from pushkeeper.api.style import Call

_SAID = {
    400: "A field is missing or malformed; the error names it",
    401: "The key is missing or invalid",
    403: "The workspace has no credentials to send with",
    404: "Not found",
    409: "The name is taken, or the current state does not allow this",
    413: "The body is larger than a megabyte",
    429: "The key or its workspace exceeds its rate limit; `Retry-After` says when to retry",
    503: "The database is unavailable; `Retry-After` says when to retry",
    504: "The request takes too long, as it covers too much data",
}
_ALWAYS = (400, 401, 429, 503)
_SEGMENTS = {
    "token": "A token or installation ID.",
    "id": "The number of the resource.",
    "route": "The name of a route, such as `fcm:my-project`.",
    "kind": "The kind of job.",
    "job": "The number of the job's item.",
    "identifier": "An ID, an email, or `cio_` followed by a cio_id.",
    "message": "The UUID of a message.",
}


def document() -> dict[str, Any]:
    """The description."""
    operations = [operation for tag in TAGS for operation in tag.operations.values()]
    queries = [operation.query for operation in operations if operation.query is not None]
    given = [
        kind for operation in operations for kind in (operation.body, operation.answer, *operation.parts)
    ]
    structs = Structs(
        [*queries, *(kind for kind in given if kind is not None and not isinstance(kind, dict))]
    )
    paths: dict[str, dict[str, Any]] = {}
    for tag in TAGS:
        for (method, path), operation in tag.operations.items():
            paths.setdefault(path, {})[method.lower()] = _operation(path, operation, tag.name, structs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pushkeeper",
            "version": __version__,
            "description": "The native API of Pushkeeper. The Customer.io-compatible APIs are served at the same address.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "contact": {"name": "The operator of this server"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [{"name": tag.name, "description": tag.description} for tag in TAGS],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS | structs.components(without=queries),
            "securitySchemes": {"app_api_key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"app_api_key": []}],
    }


def _operation(path: str, operation: Operation, tag: str, structs: Structs) -> dict[str, Any]:
    named = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _SEGMENTS[name],
            "schema": {"type": "string"},
        }
        for name in named
    ]
    parameters += [
        {
            "name": name,
            "in": "query",
            "description": schema.get("description", ""),
            "schema": {key: one for key, one in schema.items() if key != "description"},
        }
        for name, schema in (structs.parameters(operation.query) if operation.query else {}).items()
    ]
    refusals = sorted({*_ALWAYS, *operation.refused, *((413,) if operation.body else ())})
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": parameters,
        "responses": {
            str(operation.status): _done(operation, structs),
            **{str(status): _response(_SAID[status], ref("ApiError")) for status in refusals},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": not operation.body_is_optional,
            "content": {"application/json": {"schema": structs.of(operation.body)}},
        }
        if operation.has_upload and not isinstance(operation.body, dict):
            schema = _upload(structs.parameters(operation.body))
            described["requestBody"]["content"]["multipart/form-data"] = {"schema": schema}
    return described


def _upload(fields: Mapping[str, Schema]) -> Schema:
    """The form of an upload: what a body has, but for what is fetched, and the file."""
    file = {"type": "string", "format": "binary", "description": "The file; the last part of the form."}
    return {
        "type": "object",
        "properties": {
            **{name: one for name, one in fields.items() if name not in {"url", "customerio"}},
            "file": file,
        },
        "required": ["source", "file"],
    }


def _done(operation: Operation, structs: Structs) -> dict[str, Any]:
    described = _response("Done", None if operation.answer is None else structs.of(operation.answer))
    if operation.csv:
        described["content"]["text/csv"] = {"schema": {"type": "string"}}
    if operation.file:
        described["content"] = {kind: {"schema": {"type": "string"}} for kind in operation.file}
    return described


def _response(said: str, schema: Schema | None) -> dict[str, Any]:
    content = {} if schema is None else {"content": {"application/json": {"schema": schema}}}
    return {"description": said, **content}


def routes() -> Sequence[Route]:
    """The routes of the description, which need no key."""
    surface = ApiStyle(
        name="openapi",
        authenticate=no_auth,
        render=lambda error, _: {"error": {"message": error.sentence}},
        max_body_bytes=MAX_KEYLESS_BYTES,
    )
    return [
        surface.route("/api/openapi.json", GET=_described),
        surface.route("/api/docs", GET=_shown),
        surface.route(DOCS_PATH, GET=_errors),
    ]


async def _described(call: Call) -> Response:
    del call
    return response.of_json(document())


async def _errors(call: Call) -> Response:
    del call
    return Response(errors_page().encode(), content_type=b"text/html; charset=utf-8")


async def _shown(call: Call) -> Response:
    del call
    return Response(page(document()).encode(), content_type=b"text/html; charset=utf-8")
