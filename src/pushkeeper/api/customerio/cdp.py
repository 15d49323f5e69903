"""Customer.io's Data Pipelines API, which their SDKs use: events, one by one or in batches.

An SDK retries a rejected batch for ever, or drops all of it. So invalid parts are dropped and the rest kept, with 200
and a response that lists what was dropped, unless the caller asks for strict validation. Calls for another cell get
503: the caller is not at fault, and all SDKs keep and retry them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pushkeeper.api.customerio.cdp_item import DEVICE_FIELDS, Item, cut_attributes, cut_unread, read_item
from pushkeeper.api.customerio.dropped_parts import DroppedParts
from pushkeeper.api.style import NOBODY, ApiStyle
from pushkeeper.errors import BadRequest, PushkeeperError, TooLarge, Unauthorized, WrongCell
from pushkeeper.services import validation
from pushkeeper.services.api_keys import not_here
from pushkeeper.services.people import PersonUpdate
from pushkeeper.services.reports.deliveries import AppReport
from pushkeeper.web import response
from pushkeeper.web.body import by_size, inflate, loads, parse, size_of_batch, size_of_part
from pushkeeper.web.response import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.customerio.cdp_item import Said
    from pushkeeper.api.style import Call, Handler
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.api_keys import Caller
    from pushkeeper.web.body import Check

MAX_ITEM_BYTES = 32 * 1024
MAX_BATCH_BYTES = 500 * 1024
MAX_ITEMS = 10_000  # one that says anything has some 40 bytes
_DONE = Response(b"{}\n")
_KINDS = ("identify", "track", "page", "screen", "group", "alias")


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    cdp = _Cdp(context)
    # By 400 both SDKs throw away what they sent; a status that they do not know may be sent to for ever.
    surface = ApiStyle(name="cdp", authenticate=cdp.holder, render=render, too_large=400, cross_origin=True)
    single: dict[str, Handler] = {}
    for kind in _KINDS:
        # The browser library says it in one letter.
        single[f"/v1/{kind}"] = single[f"/v1/{kind[0]}"] = cdp.one(kind)
    return [
        surface.route("/v1/b", POST=cdp.batch),
        surface.route("/v1/batch", POST=cdp.batch),
        *(surface.route(path, POST=handler) for path, handler in single.items()),
        surface.route("/v1/projects/{key}/settings", GET=cdp.settings),
    ]


def render(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """A code and a message: Customer.io's Python client falls over anything else."""
    del status
    field = {"field": error.field} if isinstance(error, BadRequest) else {}
    return {"code": type(error).code, "message": error.message, **field}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A body and its workspace; each item still needs `checks`, `size` is in bytes, `drops` collects what is dropped."""

    workspace: WorkspaceId
    request_id: str
    drops: DroppedParts
    body: dict[str, Any]
    checks: Sequence[Check]
    size: int


class _Cdp:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def holder(self, authorization: bytes) -> Caller:
        """The workspace of the key in the header; None without a valid one: it may be in the body."""
        try:
            return await self._context.keys.cdp_header(authorization)
        except WrongCell as error:
            raise not_here(error.message) from error
        except Unauthorized:
            return NOBODY

    async def settings(self, call: Call) -> Response:
        """What an SDK requests at every start; with an unknown key it keeps the host it was configured with."""
        key = call.segment("key")
        try:
            opened = await self._context.keys.cdp(key)
        except Unauthorized as error:
            return _refusal(error, 404)
        at = urlsplit(self._context.url)
        ours = {"apiKey": key, "apiHost": f"{at.netloc}/v1", "protocol": at.scheme}
        integrations: dict[str, Any] = {"Customer.io Data Pipelines": ours}
        # The browser SDK loads its plugin by this entry alone.
        credentials = self._context.services.credentials
        if (public_key := await credentials.vapid_public_key(opened.workspace_id)) is not None:
            integrations["Customer.io Web Push Plugin"] = {
                "vapidPublicKey": public_key,
                "trackUrl": self._context.url,
                "serviceWorkerUrl": "/cio-webpush-sw.js",
            }
        return response.of_json({"integrations": integrations, "plan": {}, "edgeFunction": {}})

    def one(self, kind: str) -> Handler:
        """The handler of one kind of call."""

        async def work(call: Call, drops: DroppedParts) -> None:
            opened = await self._opened(call, drops)
            found = self._read(opened, opened.body, None, kind=kind)
            await self._done([(None, one) for one in found], drops)

        return _forgiving(work)

    async def batch(self, call: Call) -> Response:
        return await _forgiving(self._batch)(call)

    async def _batch(self, call: Call, drops: DroppedParts) -> None:
        opened = await self._opened(call, drops)
        items = opened.body.get("batch")
        if not isinstance(items, list):
            raise BadRequest("batch", "expected a list", "wrong_type")
        if len(items) > MAX_ITEMS:
            raise TooLarge("batch", f"cannot have more than {MAX_ITEMS:,} items")
        self._context.keys.count_items("cdp", opened.workspace, len(items))
        device = _shared_device(opened.body)

        def read() -> list[tuple[int | None, Said]]:
            return [
                (index, one)
                for index, item in enumerate(items)
                for one in self._read(opened, item, index, device=device)
            ]

        await self._done(
            await by_size(size_of_batch(opened.size, len(items)), read, of=opened.workspace), drops
        )

    def _read(
        self,
        opened: _Opened,
        item: object,
        index: int | None,
        *,
        kind: str | None = None,
        device: dict[str, Any] | None = None,
    ) -> list[Said]:
        """Read an item, of this kind or of the one that it names; return nothing if it is invalid."""
        try:
            given = validation.as_object(item, "batch")
            spoiled = _spoiled(given, kind, opened.checks)
            if device is not None:
                # Nothing else is read of what a batch's items have in common: to copy all of it into each is the square.
                own = given.get("context")
                given["context"] = {"device": device, **(own if isinstance(own, dict) else {})}
            one = Item(
                given=given,
                kind=kind,
                sent_with=opened.body.get("sentAt"),
                request_id=opened.request_id,
                on_bad=lambda error: opened.drops.add("attribute", error, index),
                spoiled=spoiled,
            )
            return read_item(self._context.services.people, opened.workspace, one)
        except BadRequest as error:
            opened.drops.add("item", error, index)
            return []

    async def _done(self, said: Sequence[tuple[int | None, Said]], drops: DroppedParts) -> None:
        """Write everything that could be read, in order."""
        for _, report in said:
            if isinstance(report, AppReport):
                await self._context.services.deliveries.report(report)
        told = [(index, one) for index, one in said if not isinstance(one, AppReport)]
        answers = await self._context.services.people.do_all([one for _, one in told])
        for (index, one), done in zip(told, answers, strict=True):
            # Of a database that does not answer the caller must hear, to send all of it again.
            if isinstance(done, BaseException) and not isinstance(done, BadRequest):
                raise done
            if isinstance(done, BadRequest):
                is_registered = isinstance(one, PersonUpdate) and one.registration is not None
                drops.add("attribute" if is_registered else "item", done, index)

    async def _opened(self, call: Call, drops: DroppedParts) -> _Opened:
        """The body, and whose key it came with, which is known before anything is made of the body's JSON."""
        encoding = call.header(b"content-encoding")
        raw = await inflate(call.raw_body, encoding=encoding, most=MAX_BATCH_BYTES, field="batch")
        if raw is not call.raw_body:
            call.charge(len(raw))
        workspace = call.workspace
        if workspace is NOBODY:
            workspace = await self._context.keys.cdp(await by_size(len(raw), lambda: _key_in(raw)))
        drops.workspace = workspace.workspace_id
        body, checks = await by_size(len(raw), lambda: parse(raw), of=workspace.workspace_id)
        return _Opened(
            workspace=workspace.workspace_id,
            request_id=call.request_id,
            drops=drops,
            body=validation.as_object(body, "body"),
            checks=checks,
            size=len(raw),
        )


def _forgiving(work: Callable[[Call, DroppedParts], Awaitable[None]]) -> Handler:
    """A handler that drops what is invalid and lists it in its 200 response, unless strict mode is requested."""

    async def handler(call: Call) -> Response:
        drops = DroppedParts("cdp", call.request_id)
        try:
            await work(call, drops)
        except WrongCell as error:
            raise not_here(error.message) from error
        except (BadRequest, Unauthorized) as error:
            drops.add("body", error)
        if not drops:
            return _DONE
        drops.record()
        if call.header(b"x-strict-mode") == b"1":
            return _refusal(drops.first, 401 if isinstance(drops.first, Unauthorized) else 400)
        return response.of_json({"errors": drops.shown()})

    return handler


class _Keyed(msgspec.Struct):
    """Of a body, what can be told without making anything of the rest: it is only passed over."""

    writeKey: msgspec.Raw = msgspec.Raw()  # noqa: N815 - theirs


def _key_in(raw: bytes) -> str:
    """The write key in a body, as SDKs send it; empty when missing.

    Raises:
        BadRequest: the body is no JSON object.
    """
    try:
        found = bytes(loads(raw or b"{}", _Keyed).writeKey)
        return msgspec.json.decode(found, type=str) if found.startswith(b'"') else ""
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("body", f"expected a JSON object: {error}", "wrong_type") from None


def _shared_device(body: dict[str, Any]) -> dict[str, Any] | None:
    """The device that a batch names for its items: of its context, and only what is read of one."""
    context = body.get("context")
    device = context.get("device") if isinstance(context, dict) else None
    if not isinstance(device, dict):
        return None
    return {name: device[name] for name in DEVICE_FIELDS if name in device}


def _spoiled(item: dict[str, Any], kind: str | None, checks: Sequence[Check]) -> list[BadRequest]:
    """Remove the invalid attributes of an item, so that the rest can be stored; return their errors.

    Raises:
        BadRequest, TooLarge: the item is invalid even without them.
    """
    try:
        _check(item, checks)
    except BadRequest:
        cut_unread(item)
        spoiled = cut_attributes(item, kind, checks)
        _check(item, checks)
        return spoiled
    return []


def _check(item: dict[str, Any], checks: Sequence[Check]) -> None:
    if size_of_part(item, checks) > MAX_ITEM_BYTES:
        raise TooLarge("event", f"cannot be longer than {MAX_ITEM_BYTES} bytes")


def _refusal(error: PushkeeperError, status: int) -> Response:
    return response.of_json(render(error, status), status)
