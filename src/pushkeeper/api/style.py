"""The style of the APIs: a call has a key and JSON, and each API says no in its own shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec
from starlette.datastructures import QueryParams
from starlette.routing import Route

from pushkeeper.core.model import WorkspaceId
from pushkeeper.errors import BadRequest, PushkeeperError, TooLarge, Unauthorized
from pushkeeper.services import typed, validation
from pushkeeper.services.api_keys import Caller
from pushkeeper.web import response
from pushkeeper.web.body import LARGE, by_size, decode_object, parse
from pushkeeper.web.endpoint import Endpoint
from pushkeeper.web.large_bodies import LARGE_BYTES
from pushkeeper.web.request import Request
from pushkeeper.web.response import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.core.actor import Actor
    from pushkeeper.web.body import Check
    from pushkeeper.web.response import Headers

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")
Handler: TypeAlias = "Callable[[Call], Awaitable[Response]]"

MAX_BODY_BYTES = 1_000_000
MAX_KEYLESS_BYTES = LARGE_BYTES  # of a body that is read before, or without, a key
_ANY_ORIGIN = (b"access-control-allow-origin", b"*")
_CHALLENGE = (b"www-authenticate", b'Basic realm="Pushkeeper", Bearer realm="Pushkeeper"')


class Call(msgspec.Struct, frozen=True):
    """One request of an API, read and allowed."""

    workspace: Caller
    request: Request
    raw_body: bytes

    @property
    def request_id(self) -> str:
        return self.request.request_id

    @property
    def workspace_id(self) -> WorkspaceId:
        return self.workspace.workspace_id

    @property
    def actor(self) -> Actor:
        """Who makes a change by this call."""
        return self.workspace.at(self.request.address)

    def segment(self, name: str) -> str:
        """A segment of the path.

        Raises:
            BadRequest: it is not UTF-8.
        """
        return self.request.segment(name)

    def number(self, what: str, segment: str = "id") -> int:
        """The number in the path by which something is found.

        Raises:
            NotFound: it is no number.
        """
        return validation.number_of_path(self.segment(segment), what)

    def header(self, name: bytes) -> bytes:
        """The first header of this lower-case name; empty when missing."""
        return self.request.header(name)

    def charge(self, size: int) -> None:
        """Count bytes that the body is unpacked to.

        Raises:
            Unreachable: the server has no room for them.
        """
        if charge := self.request.scope.get("state", {}).get("charge"):
            charge(size)

    async def json(self) -> dict[str, Any]:
        """The JSON object of the body; an empty body is an empty one.

        Raises:
            BadRequest: it is no such JSON, or holds what a database cannot.
        """
        return await self.read_json(_unchanged)

    async def read_json(self, read: Callable[[dict[str, Any]], R]) -> R:
        """What `read` makes of the JSON object of the body, beside the event loop where that is large.

        Raises:
            BadRequest: as `json` does, and as `read` does.
        """
        return await self._by_size(lambda: read(decode_object(self.raw_body)))

    async def parts(self) -> tuple[dict[str, Any], Sequence[Check]]:
        """The same, with what is still to be checked of each part of it, so that one that is bad fails alone.

        Raises:
            BadRequest: it is no such JSON.
        """
        body, checks = await self._by_size(lambda: parse(self.raw_body))
        return validation.as_object(body, "body"), checks

    async def read(self, kind: type[T]) -> T:
        """The request of this kind that the body is; an empty body is an empty one.

        Raises:
            BadRequest: it is none; names the first field that is wrong.
        """
        return await self.read_json(lambda body: typed.read(body, kind))

    async def _by_size(self, read: Callable[[], R]) -> R:
        return await by_size(len(self.raw_body), read, of=self.workspace.workspace_id or None)

    def queried(self, kind: type[T]) -> T:
        """The parameters of the query, as a request of this kind.

        Raises:
            BadRequest: one is unknown or malformed.
        """
        return typed.query(QueryParams(self.request.scope["query_string"]), kind)

    def query(self, name: str) -> str | None:
        return QueryParams(self.request.scope["query_string"]).get(name)


def _unchanged(body: dict[str, Any]) -> dict[str, Any]:
    return body


NOBODY = Caller(WorkspaceId(0), "")


async def no_auth(authorization: bytes) -> Caller:
    """Ask for no key; what the call is about says whose it is."""
    del authorization
    return NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiStyle:
    """How an API authenticates (`authenticate` reads an Authorization header, or raises Unauthorized) and formats errors (`render`)."""

    name: str
    authenticate: Callable[[bytes], Awaitable[Caller]]
    render: Callable[[PushkeeperError, int], Any]
    bad_request: int = 400
    too_large: int = 413  # what a body over the limit is answered
    max_body_bytes: int = MAX_BODY_BYTES
    cross_origin: bool = False  # whether pages of any site may call it
    for_browsers: bool = False
    reads_body: bool = True  # before the handler, which else does it by itself
    with_request_id: bool = False  # whether the `error` object of a refusal has the request's ID

    @property
    def headers(self) -> Headers:
        return (_ANY_ORIGIN,) if self.cross_origin else ()

    def route(self, path: str, **handlers: Handler) -> Route:
        """A path of this API with a handler for each method."""
        if self.cross_origin:
            handlers = {**handlers, "OPTIONS": _preflight([*handlers, "OPTIONS"])}
        return Route(path, Endpoint(self, path, handlers))

    async def respond(self, request: Request, handler: Handler) -> Response:
        """What the handler returns of the call."""
        caller = await self.authenticate(request.header(b"authorization"))
        if not self.reads_body:
            return await handler(Call(caller, request, b""))
        return await self.respond_to_body(request, caller, handler)

    async def respond_to_body(self, request: Request, caller: Caller, handler: Handler) -> Response:
        """What the handler returns of the call with its body."""
        with LARGE.body_of(caller.workspace_id) as body:
            return await handler(Call(caller, request, await request.body(self.max_body_bytes, body.grown)))

    def refusal(self, request: Request, error: PushkeeperError, status: int) -> Response:
        """How this API says that error."""
        if isinstance(error, BadRequest):
            over = isinstance(error, TooLarge) and error.field == "body"
            status = self.too_large if over else self.bad_request
        headers = [_CHALLENGE] if isinstance(error, Unauthorized) else []
        body = self.render(error, status)
        if self.with_request_id:
            body["error"]["request_id"] = request.request_id
        return response.of_json(body, status, *headers)


def _preflight(methods: Sequence[str]) -> Handler:
    """Answer the preflight that a browser sends before a call that a form could not make."""
    headers = (
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-allow-headers", b"authorization, content-type, content-encoding, x-strict-mode"),
        (b"access-control-max-age", b"86400"),
    )

    async def allow(call: Call) -> Response:
        del call
        return Response(status=204, headers=headers)

    return allow
