"""All APIs behind one door: no two share a method and a path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from pushkeeper.api import app_api, native, track_v1
from pushkeeper.api.surface import json_response
from pushkeeper.errors import Unreachable

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pushkeeper.api.auth import Keys
    from pushkeeper.registry import Registry
    from pushkeeper.reporting import Reporting
    from pushkeeper.sending import Sending
    from pushkeeper.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the APIs call, and the address at which clients reach them."""

    registry: Registry
    sending: Sending
    reporting: Reporting
    database: Database
    keys: Keys
    url: str


def build(rooms: Rooms) -> ASGIApp:
    """The application of all APIs."""
    health = _Health(rooms.database)
    app = Starlette(
        routes=[
            Route("/healthz", health.alive, methods=["GET"]),
            Route("/readyz", health.ready, methods=["GET"]),
            *track_v1.routes(rooms),
            *app_api.routes(rooms),
            *native.routes(rooms),
        ],
        exception_handlers={HTTPException: _no_such_route},
    )
    app.router.redirect_slashes = False  # clients follow no redirects, and some drop the key when they do
    return RawPath(app)


class RawPath:
    """Routes by the path as it was sent: a token's own slashes are encoded, and stay one segment."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw_path = cast("bytes", scope.get("raw_path") or scope["path"].encode())
            scope = {**scope, "path": raw_path.decode("latin-1")}
        await self._app(scope, receive, send)


class _Health:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def alive(self, _: Request) -> Response:
        return json_response({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        try:
            await self._database.value("select 1")
        except Unreachable as error:
            return json_response({"status": "unavailable", "reason": error.message}, 503)
        return json_response({"status": "ok"})


async def _no_such_route(_: Request, error: Exception) -> Response:
    status = cast("HTTPException", error).status_code
    detail = "method not allowed" if status == 405 else "not found"  # noqa: PLR2004 - HTTP's own
    return json_response({"errors": [{"detail": detail, "status": str(status)}]}, status)
