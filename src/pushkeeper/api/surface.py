"""What each API has of its own: who may call it, and how it says no."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote
from uuid import uuid4

import msgspec
from starlette.responses import Response

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
from pushkeeper.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from pushkeeper.store.workspaces import Workspace

log = logger("api")

MAX_BODY_BYTES = 1_000_000
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_JSON = "application/json; charset=utf-8"

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
        """A segment of the path, decoded after the path was split: a token may hold any character."""
        return unquote(self.request.path_params[name])

    def query(self, name: str) -> str | None:
        return self.request.query_params.get(name)


Handler: TypeAlias = "Callable[[Call], Awaitable[Response]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """An API: `authenticate` raises Unauthorized, `render` is the body of a refusal."""

    authenticate: Callable[[Request], Awaitable[Workspace]]
    render: Callable[[PushkeeperError, int], Any]

    def endpoint(self, template: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The handler, guarded: whatever happens in it becomes an answer in this API's shape."""

        async def answer(request: Request) -> Response:
            started = time.perf_counter()
            request_id = _request_id(request)
            try:
                workspace = await self.authenticate(request)
                response = await handler(Call(workspace, request, await read_body(request), request_id))
            except PushkeeperError as error:
                response = self._refusal(error)
            except Exception:
                # The last handler: the client learns that it was our fault, the log why.
                log.exception("request_failed", route=template, request_id=request_id)
                response = self._refusal(PushkeeperError("internal error"))
            response.headers["x-request-id"] = request_id
            log.info(
                "request",
                method=request.method,
                route=template,
                status=response.status_code,
                ms=round((time.perf_counter() - started) * 1000, 1),
                request_id=request_id,
            )
            return response

        return answer

    def _refusal(self, error: PushkeeperError) -> Response:
        status = status_of(error)
        response = json_response(self.render(error, status), status)
        if isinstance(error, Unauthorized):
            response.headers["www-authenticate"] = 'Basic realm="Pushkeeper", Bearer realm="Pushkeeper"'
        if isinstance(error, Unreachable):
            response.headers["retry-after"] = "2"
        return response


def status_of(error: PushkeeperError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, TooLarge) and error.field == "body":
        return 413
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status
    return 500


def json_response(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=_JSON)


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is over a megabyte.
    """
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise TooLarge("body", f"body: cannot be longer than {MAX_BODY_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) else uuid4().hex
