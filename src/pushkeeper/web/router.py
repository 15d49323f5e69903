"""Routing of paths, and what applies to all requests: the client's address and scheme."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, cast

from starlette.routing import Route, Router

from pushkeeper.core.client_address import client_of, is_trusted
from pushkeeper.errors import NotFound, docs_url
from pushkeeper.store.db import patience
from pushkeeper.web import paths, response
from pushkeeper.web.endpoint import log, meters_of
from pushkeeper.web.request import request_id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.types import Message, Receive, Scope, Send

    from pushkeeper.core.client_address import Network
    from pushkeeper.web.response import Response

_ONLY_TLS = (b"strict-transport-security", b"max-age=31536000")
_BEGINNING = 3  # segments of a path that choose its router


class PathRouter:
    """Routes by the raw path: a token's own slashes are encoded, and stay one segment.

    A router tries its routes in order, a microsecond each, so there is one router for each path prefix. Extra slashes are
    ignored in the paths of the APIs, but not in those `beside` them.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        beside: Sequence[Route] = (),
        *,
        trusted_proxies: Sequence[Network] = (),
        only_tls: bool = False,
    ) -> None:
        self._trusted_proxies = trusted_proxies
        self._only_tls = only_tls
        self.routes = (*routes, *beside)
        begun: dict[tuple[str, ...], list[Route]] = {}
        for route in self.routes:
            segments = route.path.split("/")[1:]
            fixed = tuple(takewhile(lambda segment: "{" not in segment, segments))
            begun.setdefault(fixed[:_BEGINNING], []).append(route)
        self._known = paths.tree(route.path for route in routes)
        # Clients follow no redirects, and some drop the key when they do.
        self._routers = {
            beginning: Router(of_it, redirect_slashes=False, default=_no_such_route)
            for beginning, of_it in begun.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_path = cast("bytes", scope.get("raw_path") or scope["path"].encode())
        scope["path"] = path = paths.without_extra_slashes(raw_path.decode("latin-1"), self._known)
        if self._trusted_proxies:
            _believe(scope, self._trusted_proxies)
        if self._only_tls:
            send = _with_tls_only(send)
        segments = path.split("/", _BEGINNING + 1)[1:]
        for length in range(_BEGINNING, 0, -1):
            router = self._routers.get(tuple(segments[:length]))
            if router is not None:
                with patience.limited():
                    await router(scope, receive, send)
                return
        await _no_such_route(scope, receive, send)


def _believe(scope: Scope, trusted: Sequence[Network]) -> None:
    """Replace a trusted proxy with the client and scheme that it forwards."""
    peer, _ = scope.get("client") or ("", 0)
    if not is_trusted(peer, trusted):
        return
    said: dict[bytes, list[str]] = {b"x-forwarded-for": [], b"x-forwarded-proto": []}
    for name, value in scope["headers"]:
        if name in said:
            said[name].append(value.decode("latin-1"))
    scope["client"] = (client_of(peer, said[b"x-forwarded-for"], trusted), 0)
    scheme = ",".join(said[b"x-forwarded-proto"]).rpartition(",")[2].strip().lower()
    if scheme in {"http", "https"}:
        scope["scheme"] = scheme


def _with_tls_only(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], _ONLY_TLS]}
        await send(message)

    return sent


class OpenPath:
    """A path that needs no key."""

    def __init__(self, said: Callable[[], Awaitable[Response]]) -> None:
        self._said = said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await (await self._said()).send(send, request_id_of(scope))


async def _no_such_route(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    request_id = request_id_of(scope)
    if scope["path"].startswith("/api/v1/"):
        error = NotFound("This path does not exist; see /api/docs for all paths")
        body: dict[str, object] = {
            "error": {
                "code": error.code,
                "message": error.sentence,
                "docs_url": docs_url(error.code),
                "request_id": request_id,
            }
        }
    else:
        body = {"errors": [{"detail": "not found", "status": "404"}]}
    said = response.of_json(body, 404)
    await said.send(send, request_id)
    meters_of("none", "", "other", said.status)[0].value += 1
    # Not its path: that may hold a token as well as any other.
    log.info("request", method=scope["method"], route=None, status=said.status, request_id=request_id)
