"""Imports in Customer.io's App API: a CSV file of people at an address, and how far a worker has come with it.

Source: Customer.io's OpenAPI description of the App API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from pushkeeper.api.customerio.app_api import render
from pushkeeper.api.style import ApiStyle
from pushkeeper.core.imports.row import ImportOptions
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.imports.counts import Counts
from pushkeeper.services.imports.fetching import MAX_URL_BYTES, UrlFile
from pushkeeper.services.imports.service import NewImport
from pushkeeper.services.schemas.base import MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.imports.service import Import
    from pushkeeper.web.response import Response

_SCOPES = {"all": "all", "only_new": "new", "only_existing": "existing"}
_THEIRS = {ours: theirs for theirs, ours in _SCOPES.items()}
_KINDS = ("people", "event", "object", "relationship")
_ENDED = {"done": "imported", "failed": "failed", "cancelled": "canceled"}


def routes(context: Context) -> Sequence[Route]:
    """The routes of imports."""
    imports = _Imports(context)
    surface = ApiStyle(name="app_api", authenticate=context.keys.app, render=render)
    return [
        surface.route("/v1/imports", POST=imports.make),
        surface.route("/v1/imports/{id}", GET=imports.one),
    ]


class _Imports:
    def __init__(self, context: Context) -> None:
        self._imports = context.services.imports

    async def make(self, call: Call) -> Response:
        body = validation.as_object((await call.json()).get("import"), "import")
        try:
            wanted, fetch = _wanted(body)
        except BadRequest as error:
            raise error.under("import") from None
        made = await self._imports.make_from(call.actor, call.workspace_id, wanted, fetch)
        return response.of_json({"import": import_json(made)})

    async def one(self, call: Call) -> Response:
        found = await self._imports.one(call.workspace_id, call.number("import"))
        return response.of_json({"import": import_json(found)})


def _wanted(body: dict[str, Any]) -> tuple[NewImport, UrlFile]:
    """What is imported, and from where.

    Raises:
        BadRequest: a field is malformed, or it is not people that are to be imported.
    """
    if validation.one_of(body.get("type"), "type", _KINDS) != "people":
        raise BadRequest("type", "expected people: this server imports no other files", "unknown_value")
    url = validation.text(body.get("data_file_url"), "data_file_url", max_bytes=MAX_URL_BYTES)
    fetch = UrlFile(url=url)
    try:
        fetch.check()
    except BadRequest as error:
        raise error.renamed("url", "data_file_url") from None
    identifier = body.get("identifier")
    scope = body.get("people_to_process") or body.get("data_to_process") or "all"
    options = ImportOptions(
        identifier="" if identifier is None else validation.one_of(identifier, "identifier", ("id", "email")),  # type: ignore[arg-type]  # of these words
        only=_SCOPES[validation.one_of(scope, "people_to_process", tuple(_SCOPES))],  # type: ignore[arg-type]  # as above
    )
    file = unquote(urlsplit(url).path.rpartition("/")[2])[-MAX_NAME_BYTES:]
    wanted = NewImport(
        source="customerio",
        name=validation.optional_text(body.get("name"), "name", max_bytes=MAX_NAME_BYTES) or file or "file",
        description=validation.optional_text(
            body.get("description"), "description", max_bytes=MAX_DESCRIPTION_BYTES
        )
        or "",
        options=msgspec.to_builtins(options),
        apply=True,
    )
    return wanted, fetch


def import_json(found: Import) -> dict[str, Any]:
    """An import as Customer.io shows it."""
    counts = msgspec.convert(found.counts, Counts)
    options = msgspec.convert(found.options, ImportOptions)
    running = "importing" if found.records else "preprocessing"
    scope = _THEIRS[options.only]
    return {
        "id": found.import_id,
        "created_at": int(found.created_at.timestamp()),
        "updated_at": int(found.updated_at.timestamp()),
        "name": found.name,
        "description": found.description,
        "rows_to_import": counts.rows,
        "rows_imported": counts.rows - sum(counts.skipped.values()),
        "state": _ENDED.get(found.state, running),
        "type": "people",
        "identifier": options.identifier or "id",
        "data_to_process": scope,
        "people_to_process": scope,
        "error": found.failure or "",
    }
