"""What each API has of its own: who may call it, and how it says no."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from pushkeeper.core.model import WorkspaceId
from pushkeeper.errors import (
    BadRequest,
    PushkeeperError,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unreachable,
    http_status,
)
from pushkeeper.observability.logs import logger, write_request
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric
from pushkeeper.services import typed, validation
from pushkeeper.services.api_keys import Caller
from pushkeeper.web import forms, response
from pushkeeper.web.body import LARGE_BYTES, by_size, decode, parse
from pushkeeper.web.response import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import Receive, Scope, Send

    from pushkeeper.core.actor import Actor
    from pushkeeper.observability.meters import Counter, Histogram
    from pushkeeper.web.body import Check

T = TypeVar("T", bound=msgspec.Struct)

log = logger("api")

MAX_BODY_BYTES = 1_000_000
MAX_KEYLESS_BYTES = LARGE_BYTES  # of a body that is read before, or without, a key
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Of the ids that we give ourselves: what nobody else's begin with, and what counts on.
_PROCESS = os.urandom(10).hex()
_NUMBERS = count(1)
_METHOD_NOT_ALLOWED = 405
_CLIENT_LEFT = 499  # nginx's number for it; nobody is there to be sent it
_ANY_ORIGIN = (b"access-control-allow-origin", b"*")
_CHALLENGE = (b"www-authenticate", b'Basic realm="Pushkeeper", Bearer realm="Pushkeeper"')


class Call(msgspec.Struct, frozen=True):
    """One request, read and allowed; `segments` are of its path, as they were sent.

    `charge` counts bytes that its body is unpacked to, and raises Unreachable when the server has no room for them.
    """

    workspace: Caller
    segments: Mapping[str, str]
    query_string: bytes
    headers: Sequence[tuple[bytes, bytes]]
    raw_body: bytes
    request_id: str
    charge: Callable[[int], None]
    address: str = ""

    @property
    def actor(self) -> Actor:
        """Who makes a change by this call."""
        return self.workspace.at(self.address)

    def segment(self, name: str) -> str:
        """A segment of the path, decoded after the path was split: a token may hold any character.

        Raises:
            BadRequest: it is not UTF-8.
        """
        try:
            return unquote_to_bytes(self.segments[name].encode("latin-1")).decode()
        except UnicodeDecodeError:
            raise BadRequest(name, "not UTF-8") from None

    def header(self, name: bytes) -> bytes:
        """The first header of this lower-case name; empty when there is none."""
        return next((value for found, value in self.headers if found == name), b"")

    async def json(self) -> dict[str, Any]:
        """The JSON object of the body; an empty body is an empty one.

        Raises:
            BadRequest: it is no such JSON, or holds what a database cannot.
        """
        return validation.as_object(await by_size(len(self.raw_body), decode, self.raw_body), "body")

    async def parts(self) -> tuple[dict[str, Any], Sequence[Check]]:
        """The same, with what is still to be checked of each part of it, so that one that is bad fails alone.

        Raises:
            BadRequest: it is no such JSON.
        """
        body, checks = await by_size(len(self.raw_body), parse, self.raw_body)
        return validation.as_object(body, "body"), checks

    async def read(self, kind: type[T]) -> T:
        """The request of this kind that the body is; an empty body is an empty one.

        Raises:
            BadRequest: it is none; names the first field that is wrong.
        """
        return typed.read(await self.json(), kind)

    def queried(self, kind: type[T]) -> T:
        """The parameters of the query, as a request of this kind.

        Raises:
            BadRequest: one is unknown or malformed.
        """
        return typed.query(QueryParams(self.query_string), kind)

    def query(self, name: str) -> str | None:
        return QueryParams(self.query_string).get(name)


NOBODY = Caller(WorkspaceId(0), "")


async def no_auth(authorization: bytes) -> Caller:
    """Ask for no key; what the call is about says whose it is."""
    del authorization
    return NOBODY


def _uncounted(size: int) -> None:
    """Count nothing, under a server that has no such limit."""


Handler: TypeAlias = "Callable[[Call], Awaitable[Answer]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiStyle:
    """An API: `authenticate` reads an Authorization header, or raises Unauthorized; `render` is a refusal's body."""

    name: str  # the label of its metrics
    authenticate: Callable[[bytes], Awaitable[Caller]]
    render: Callable[[PushkeeperError, int], Any]
    bad_request: int = 400
    too_large: int = 413  # what a body over the limit is answered
    max_body_bytes: int = MAX_BODY_BYTES
    cross_origin: bool = False  # whether pages of any site may call it

    def route(self, path: str, **handlers: Handler) -> Route:
        """A path of this API with a handler for each method."""
        if self.cross_origin:
            handlers = {**handlers, "OPTIONS": _preflight([*handlers, "OPTIONS"])}
        return Route(path, _Resource(self, path, handlers))

    def refusal(self, error: PushkeeperError) -> Answer:
        """How this API says that error."""
        status = http_status(error)
        if isinstance(error, BadRequest):
            status = self.bad_request
        if isinstance(error, TooLarge) and error.field == "body":
            status = self.too_large
        headers = []
        if isinstance(error, Unauthorized):
            headers.append(_CHALLENGE)
        if isinstance(error, Unreachable):
            headers.append((b"retry-after", b"%d" % error.retry_after_s))
        if isinstance(error, TooManyRequests):
            headers.append((b"retry-after", b"%d" % error.retry_after_s))
        return response.of_json(self.render(error, status), status, *headers)


def _preflight(methods: Sequence[str]) -> Handler:
    """Answer the preflight that a browser sends before a call that a form could not make."""
    headers = (
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-allow-headers", b"authorization, content-type, content-encoding, x-strict-mode"),
        (b"access-control-max-age", b"86400"),
    )

    async def allow(call: Call) -> Answer:
        del call
        return Answer(b"", 204, headers)

    return allow


class _Resource:
    """One path, guarded: whatever happens in a handler becomes an answer in its API's shape."""

    def __init__(self, surface: ApiStyle, template: str, handlers: Mapping[str, Handler]) -> None:
        self._surface = surface
        self._template = template
        self._handlers = {**handlers, **({"HEAD": handlers["GET"]} if "GET" in handlers else {})}
        self._meters: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = request_id_of(scope)
        try:
            said = await self._answer(scope, receive, request_id)
            if self._surface.cross_origin:
                said = replace(said, headers=(*said.headers, _ANY_ORIGIN))
            status, about = said.status, said.delivery_id
            await said.send(send, request_id)
        except ClientDisconnect:
            status, about = _CLIENT_LEFT, None
        took_s = time.perf_counter() - started
        calls, durations = self._meters.get((scope["method"], status)) or self._meter(scope["method"], status)
        calls.value += 1
        durations.observe(took_s)
        write_request(
            method=scope["method"],
            route=self._template,
            status=status,
            ms=round(took_s * 1000, 1),
            request_id=request_id,
            delivery_id=None if about is None else str(about),
        )

    def _meter(self, method: str, status: int) -> tuple[Counter, Histogram]:
        """What counts such calls; whoever makes up a method does not make up a label."""
        if method not in self._handlers:
            return meters_of(self._surface.name, self._template, "other", status)
        found = meters_of(self._surface.name, self._template, method, status)
        self._meters[method, status] = found
        return found

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> Answer:
        handler = self._handlers.get(scope["method"])
        if handler is None:
            return self._not_allowed(scope["method"])
        try:
            workspace = await self._surface.authenticate(_authorization(scope))
            body = await read_body(receive, self._surface.max_body_bytes)
            return await handler(
                Call(
                    workspace,
                    scope["path_params"],
                    scope["query_string"],
                    scope["headers"],
                    body,
                    request_id,
                    scope.get("state", {}).get("charge", _uncounted),
                    forms.address_of(scope),
                )
            )
        except PushkeeperError as error:
            return self._surface.refusal(error)
        except ClientDisconnect:
            raise
        except Exception:
            # The last handler: the client learns that it was our fault, the log why.
            log.exception("request_failed", route=self._template, request_id=request_id)
            return self._surface.refusal(PushkeeperError("internal error"))

    def _not_allowed(self, method: str) -> Answer:
        status = _METHOD_NOT_ALLOWED
        body = self._surface.render(PushkeeperError(f"{method} is not allowed here"), status)
        return response.of_json(body, status, (b"allow", ", ".join(self._handlers).encode()))


def meters_of(surface: str, template: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """What counts the calls of this kind, and how long they took."""
    calls = PROCESS.count(Metric.HTTP_REQUESTS, surface, template, method, str(status))
    return calls, PROCESS.spread(Metric.HTTP_DURATION, surface, f"{status // 100}xx")


async def read_body(receive: Receive, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The whole body; Starlette's ClientDisconnect when the client left before it was all there.

    Raises:
        TooLarge: it is over so many bytes.
    """
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge("body", f"cannot be longer than {max_bytes} bytes")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _authorization(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return cast("bytes", value)
    return b""


def request_id_of(scope: Scope) -> str:
    """The caller's own X-Request-Id when it is a sane one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return cast("bytes", value).decode()
    return f"{_PROCESS}{next(_NUMBERS):012x}"
