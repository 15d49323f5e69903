"""Our own API for imports: a file is uploaded or fetched, tried, applied, and compared with what is there."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pushkeeper.api.native.style import native
from pushkeeper.errors import BadRequest
from pushkeeper.services import typed
from pushkeeper.services.imports.fetching import UrlFile
from pushkeeper.services.schemas.imports import ImportListView, ImportRequest, ImportView
from pushkeeper.web import response
from pushkeeper.web.upload import read_upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.imports.fetching import Fetch
    from pushkeeper.services.imports.service import Import
    from pushkeeper.web.response import Response

_FORM = b"multipart/form-data"


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    imports = _Imports(context)
    surface = native(context)
    return [
        native(context, reads_body=False).route("/api/v1/imports", GET=imports.all, POST=imports.make),
        surface.route("/api/v1/imports/{id}", GET=imports.one),
        surface.route("/api/v1/imports/{id}/apply", POST=imports.apply),
        surface.route("/api/v1/imports/{id}/cancel", POST=imports.cancel),
        surface.route("/api/v1/imports/{id}/verification", GET=imports.verification),
    ]


class _Imports:
    def __init__(self, context: Context) -> None:
        self._imports = context.services.imports
        self._json = native(context)
        self._url = context.url

    async def all(self, call: Call) -> Response:
        found = await self._imports.all(call.workspace_id)
        return response.of_json(ImportListView(imports=[ImportView.of(one) for one in found]))

    async def one(self, call: Call) -> Response:
        found = await self._imports.one(call.workspace_id, call.number("import"))
        return response.of_json(ImportView.of(found))

    async def make(self, call: Call) -> Response:
        """Import the file of a form, or what a JSON body says where to fetch."""
        if call.header(b"content-type").partition(b";")[0].strip().lower() != _FORM:
            return await self._json.respond_to_body(call.request, call.workspace, self._make_fetched)
        upload = await read_upload(call.request)
        asked = typed.query(upload.fields, ImportRequest)
        for name in ("url", "customerio"):
            if getattr(asked, name) is not None:
                raise BadRequest(name, "cannot be given together with a file")
        async with aclosing(upload.content) as content:
            made = await self._imports.make(call.actor, call.workspace_id, asked.wanted(upload.name), content)
        return self._made(made)

    async def _make_fetched(self, call: Call) -> Response:
        fetch: Fetch
        asked = await call.read(ImportRequest)
        if asked.customerio is not None:
            if asked.url is not None or asked.source != "customerio":
                raise BadRequest("customerio", "cannot be given together with a url or another source")
            name, fetch = "Customer.io", asked.customerio.fetch
        elif asked.url is not None:
            fetch = UrlFile(url=asked.url)
            fetch.check()
            name = unquote(urlsplit(asked.url).path.rpartition("/")[2])
        else:
            raise BadRequest("url", "is required, or a multipart form with the file", "missing")
        made = await self._imports.make_from(call.actor, call.workspace_id, asked.wanted(name), fetch)
        return self._made(made)

    async def apply(self, call: Call) -> Response:
        return self._made(await self._imports.apply(call.actor, call.workspace_id, call.number("import")))

    async def cancel(self, call: Call) -> Response:
        found = await self._imports.cancel(call.actor, call.workspace_id, call.number("import"))
        return response.of_json(ImportView.of(found))

    async def verification(self, call: Call) -> Response:
        found = await self._imports.verification(call.workspace_id, call.number("import"))
        return response.of_json(found)

    def _made(self, made: Import) -> Response:
        address = f"{self._url}/api/v1/imports/{made.import_id}"
        return response.of_json(ImportView.of(made), 202, (b"location", address.encode()))
