"""Customer.io's Data Pipelines API, which their SDKs speak: what happened, one by one or in batches.

An SDK sends a refused batch again for ever, or throws it away whole. So whatever is wrong is dropped and the rest kept, with
200, unless the caller asks for strictness.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pushkeeper.api import answer, fields
from pushkeeper.api.answer import Answer
from pushkeeper.api.cdp_item import read_item
from pushkeeper.api.surface import MAX_BODY_BYTES, Surface, let_in
from pushkeeper.errors import BadRequest, PushkeeperError, TooLarge, Unauthorized
from pushkeeper.reporting import AppReport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.routing import Route

    from pushkeeper.api.app import Rooms
    from pushkeeper.api.cdp_item import Said
    from pushkeeper.api.surface import Call, Handler
    from pushkeeper.core.model import WorkspaceId

MAX_ITEM_BYTES = 32 * 1024
MAX_BATCH_BYTES = 500 * 1024
_GZIP = b"\x1f\x8b"
_DEFLATED = 31  # zlib's word for a gzip header
# A browser library calls from any site's page.
_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, content-encoding, x-strict-mode"),
    (b"access-control-max-age", b"86400"),
)
_DONE = Answer(b"{}\n", headers=_CORS)
_KINDS = ("identify", "track", "page", "screen", "group", "alias")


def routes(rooms: Rooms) -> Sequence[Route]:
    """The routes of this API."""
    cdp = _Cdp(rooms)
    # By 400 both SDKs throw away what they sent; a status that they do not know may be sent to for ever.
    surface = Surface(authenticate=let_in, render=render, too_large=400)
    single: dict[str, Handler] = {}
    for kind in _KINDS:
        # The browser library says it in one letter.
        single[f"/v1/{kind}"] = single[f"/v1/{kind[0]}"] = cdp.one(kind)
    return [
        surface.route("/v1/b", POST=cdp.batch, OPTIONS=cdp.options),
        surface.route("/v1/batch", POST=cdp.batch, OPTIONS=cdp.options),
        *(surface.route(path, POST=handler, OPTIONS=cdp.options) for path, handler in single.items()),
        surface.route("/v1/projects/{key}/settings", GET=cdp.settings, OPTIONS=cdp.options),
    ]


def render(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """A code and a message: Customer.io's Python client falls over anything else."""
    del status
    field = {"field": error.field} if isinstance(error, BadRequest) else {}
    return {"code": error.code, "message": error.message, **field}


class _Cdp:
    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def options(self, call: Call) -> Answer:
        del call
        return Answer(b"", 204, _CORS)

    async def settings(self, call: Call) -> Answer:
        """What an SDK asks at every start; one of an unknown key goes on with the host that it was given."""
        key = call.segment("key")
        try:
            await self._rooms.keys.cdp(key)
        except Unauthorized as error:
            return _refusal(error, 404)
        at = urlsplit(self._rooms.url)
        ours = {"apiKey": key, "apiHost": f"{at.netloc}/v1", "protocol": at.scheme}
        found = {"integrations": {"Customer.io Data Pipelines": ours}, "plan": {}, "edgeFunction": {}}
        return Answer(msgspec.json.encode(found), headers=_CORS)

    def one(self, kind: str) -> Handler:
        """The handler of one kind of call."""

        async def work(call: Call) -> Sequence[PushkeeperError]:
            workspace, body = await self._opened(call, _unpacked(call))
            _check_size(body)
            said = read_item(self._rooms.registry, workspace, body, kind, request_id=call.request_id)
            return await self._done([said])

        return _forgiving(work)

    async def batch(self, call: Call) -> Answer:
        return await _forgiving(self._batch)(call)

    async def _batch(self, call: Call) -> Sequence[PushkeeperError]:
        raw = _unpacked(call)
        if len(raw) > MAX_BATCH_BYTES:
            raise TooLarge("batch", f"batch: cannot be longer than {MAX_BATCH_BYTES} bytes")
        workspace, body = await self._opened(call, raw)
        items = body.get("batch")
        if not isinstance(items, list):
            raise BadRequest("batch", "batch: expected a list")
        self._rooms.keys.count_items("cdp", workspace, len(items))
        shared = {
            name: body[name] for name in ("context", "integrations") if isinstance(body.get(name), dict)
        }
        return await self._done([self._read(call, workspace, item, shared) for item in items])

    def _read(
        self, call: Call, workspace: WorkspaceId, item: object, shared: dict[str, Any]
    ) -> list[Said] | BadRequest:
        try:
            given = fields.as_object(item, "batch")
            _check_size(given)
            for name, common in shared.items():
                own = given.get(name)
                given[name] = {**common, **(own if isinstance(own, dict) else {})}
            return read_item(self._rooms.registry, workspace, given, None, request_id=call.request_id)
        except BadRequest as error:
            return error

    async def _done(self, read: Sequence[list[Said] | BadRequest]) -> list[PushkeeperError]:
        """Do all that could be read, in its order; the errors of the rest."""
        errors: list[PushkeeperError] = [found for found in read if isinstance(found, BadRequest)]
        said = [one for found in read if isinstance(found, list) for one in found]
        for report in (one for one in said if isinstance(one, AppReport)):
            await self._rooms.reporting.report(report)
        told = [one for one in said if not isinstance(one, AppReport)]
        for done in await self._rooms.registry.do_all(told):
            # Of a database that does not answer the caller must hear, to send all of it again.
            if isinstance(done, BaseException) and not isinstance(done, BadRequest):
                raise done
            if isinstance(done, BadRequest):
                errors.append(done)
        return errors

    async def _opened(self, call: Call, raw: bytes) -> tuple[WorkspaceId, dict[str, Any]]:
        """The body, and whose key it came with: in the body, as SDKs send it, or in the header, as basic or bearer."""
        body = fields.as_object(fields.decode(raw), "body")
        key = body.get("writeKey")
        workspace = (
            await self._rooms.keys.cdp(key)
            if isinstance(key, str) and key
            else await self._rooms.keys.cdp_header(call.header(b"authorization"))
        )
        return workspace.workspace_id, body


def _forgiving(work: Callable[[Call], Awaitable[Sequence[PushkeeperError]]]) -> Handler:
    """A handler that drops what is wrong, unless it is asked to be strict."""

    async def handler(call: Call) -> Answer:
        try:
            errors = await work(call)
        except (BadRequest, Unauthorized) as error:
            errors = [error]
        if not errors or call.header(b"x-strict-mode") != b"1":
            return _DONE
        return _refusal(errors[0], 401 if isinstance(errors[0], Unauthorized) else 400)

    return handler


def _unpacked(call: Call) -> bytes:
    """The body, whatever its type says, and unzipped where it is."""
    raw = call.raw_body
    if not raw.startswith(_GZIP):
        return raw
    unzip = zlib.decompressobj(_DEFLATED)
    try:
        found = unzip.decompress(raw, MAX_BODY_BYTES + 1)
    except zlib.error:
        raise BadRequest("body", "body: not gzip, though it begins so") from None
    if len(found) > MAX_BODY_BYTES:
        raise TooLarge("batch", f"batch: cannot be longer than {MAX_BATCH_BYTES} bytes")
    return found


def _check_size(item: dict[str, Any]) -> None:
    if len(msgspec.json.encode(item)) > MAX_ITEM_BYTES:
        raise TooLarge("event", f"event: cannot be longer than {MAX_ITEM_BYTES} bytes")


def _refusal(error: PushkeeperError, status: int) -> Answer:
    said = answer.of_json(render(error, status), status)
    return Answer(said.body, status, _CORS)
