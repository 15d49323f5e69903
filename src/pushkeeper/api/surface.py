"""What each API has of its own: who may call it, and how it says no."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route

from pushkeeper.api import answer
from pushkeeper.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PushkeeperError,
    TooLarge,
    Unauthorized,
    Unreachable,
)
from pushkeeper.telemetry import RequestLine, logger, write_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from pushkeeper.api.answer import Answer
    from pushkeeper.store.workspaces import Workspace

log = logger("api")

MAX_BODY_BYTES = 1_000_000
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_METHOD_NOT_ALLOWED = 405
_CLIENT_LEFT = 499  # nginx's number for it; nobody is there to be sent it
_CHALLENGE = (b"www-authenticate", b'Basic realm="Pushkeeper", Bearer realm="Pushkeeper"')
_RETRY_AFTER = (b"retry-after", b"2")

_STATUS: tuple[tuple[type[PushkeeperError], int], ...] = (
    (TooLarge, 400),
    (BadRequest, 400),
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unreachable, 503),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read and allowed."""

    workspace: Workspace
    request: Request
    raw_body: bytes
    request_id: str

    def segment(self, name: str) -> str:
        """A segment of the path, decoded after the path was split: a token may hold any character.

        Raises:
            BadRequest: it is not UTF-8.
        """
        raw = cast("str", self.request.path_params[name]).encode("latin-1")
        try:
            return unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            raise BadRequest(name, f"{name}: not UTF-8") from None

    def query(self, name: str) -> str | None:
        return self.request.query_params.get(name)


Handler: TypeAlias = "Callable[[Call], Awaitable[Answer]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """An API: `authenticate` raises Unauthorized, `render` is the body of a refusal."""

    authenticate: Callable[[Request], Awaitable[Workspace]]
    render: Callable[[PushkeeperError, int], Any]

    def route(self, path: str, **handlers: Handler) -> Route:
        """A path of this API with a handler for each method."""
        return Route(path, _Resource(self, path, handlers))

    def refusal(self, error: PushkeeperError) -> Answer:
        """How this API says that error."""
        status = status_of(error)
        headers = []
        if isinstance(error, Unauthorized):
            headers.append(_CHALLENGE)
        if isinstance(error, Unreachable):
            headers.append(_RETRY_AFTER)
        return answer.of_json(self.render(error, status), status, *headers)


class _Resource:
    """One path, guarded: whatever happens in a handler becomes an answer in its API's shape."""

    def __init__(self, surface: Surface, template: str, handlers: Mapping[str, Handler]) -> None:
        self._surface = surface
        self._template = template
        self._handlers = {**handlers, **({"HEAD": handlers["GET"]} if "GET" in handlers else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = request_id_of(scope)
        try:
            said = await self._answer(Request(scope), receive, request_id)
            status = said.status
            await said.send(send, request_id)
        except ClientDisconnect:
            status = _CLIENT_LEFT
        write_request(
            RequestLine(
                method=scope["method"],
                route=self._template,
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
                request_id=request_id,
            )
        )

    async def _answer(self, request: Request, receive: Receive, request_id: str) -> Answer:
        handler = self._handlers.get(request.method)
        if handler is None:
            return self._not_allowed(request.method)
        try:
            workspace = await self._surface.authenticate(request)
            return await handler(Call(workspace, request, await read_body(receive), request_id))
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
        return answer.of_json(body, status, (b"allow", ", ".join(self._handlers).encode()))


def status_of(error: PushkeeperError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, TooLarge) and error.field == "body":
        return 413
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status
    return 500


async def read_body(receive: Receive) -> bytes:
    """The whole body; Starlette's ClientDisconnect when the client left before it was all there.

    Raises:
        TooLarge: it is over a megabyte.
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
        if size > MAX_BODY_BYTES:
            raise TooLarge("body", f"body: cannot be longer than {MAX_BODY_BYTES} bytes")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def request_id_of(scope: Scope) -> str:
    """The caller's own X-Request-Id when it is a sane one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return cast("bytes", value).decode()
    return os.urandom(16).hex()
