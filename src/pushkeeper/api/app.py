"""All APIs behind one door, and the dashboard beside them: no two share a method and a path."""

from __future__ import annotations

import time
from itertools import takewhile
from typing import TYPE_CHECKING, cast

from starlette.routing import Route, Router

from pushkeeper.api import openapi
from pushkeeper.api.customerio import (
    activities,
    app_api,
    cdp,
    delivery_reports,
    exports,
    info,
    messages,
    preferences,
    segments,
    snippets,
    templates,
    track_v1,
    track_v2,
    triggered_broadcasts,
    triggers,
    webhooks,
)
from pushkeeper.api.health import Readiness
from pushkeeper.api.metrics import PATH, Prometheus
from pushkeeper.api.native import (
    audiences,
    broadcasts,
    devices,
    erasures,
    explain,
    jobs,
    reports,
    strikes,
    workspace,
)
from pushkeeper.api.native import routes as native_routes
from pushkeeper.core.client_address import client_of, is_trusted
from pushkeeper.services.metrics_snapshot import Measures
from pushkeeper.store.db.connections import set_deadline
from pushkeeper.web import paths, response
from pushkeeper.web.endpoint import log, meters_of, request_id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pushkeeper.api.context import Context
    from pushkeeper.core.client_address import Network
    from pushkeeper.web.response import Answer

_ONLY_TLS = (b"strict-transport-security", b"max-age=31536000")
_BEGINNING = 3  # segments of a path that choose its router
_WAITS_S = 5.0  # for turns and connections, so that nobody waits ten seconds for an answer that does not come


def build(context: Context, beside: Sequence[Route] = ()) -> ASGIApp:
    """The application of all APIs, and of what else there is to be had at this address."""
    routes: list[Route] = [
        *track_v1.routes(context),
        *cdp.routes(context),
        *track_v2.routes(context),
        *delivery_reports.routes(context),
        Route("/healthz", _Open(_alive)),
        Route("/readyz", _Open(Readiness(context.services.database))),
        Route(
            PATH,
            Prometheus(
                Measures(context.services.database, context.cell, context.figures), context.metrics_token
            ),
        ),
        *app_api.routes(context),
        *segments.routes(context),
        *activities.routes(context),
        *messages.routes(context),
        *preferences.routes(context),
        *templates.routes(context),
        *triggers.routes(context),
        *triggered_broadcasts.routes(context),
        *snippets.routes(context),
        *info.routes(context),
        *broadcasts.routes(context),
        *exports.routes(context),
        *jobs.routes(context),
        *openapi.routes(),
        *webhooks.routes(context),
        *devices.routes(context),
        *audiences.routes(context),
        *strikes.routes(context),
        *erasures.routes(context),
        *explain.routes(context),
        *reports.routes(context),
        *native_routes.routes(context),
        *workspace.routes(context),
    ]
    return Doors(routes, beside, trusted_proxies=context.trusted_proxies, only_tls=context.only_tls)


class Doors:
    """Routes by the path as it was sent: a token's own slashes are encoded, and stay one segment.

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
        begun: dict[tuple[str, ...], list[Route]] = {}
        for route in (*routes, *beside):
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
        set_deadline(time.monotonic() + _WAITS_S)
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
                await router(scope, receive, send)
                return
        await _no_such_route(scope, receive, send)


def _believe(scope: Scope, trusted: Sequence[Network]) -> None:
    """Put the client, and how it called, in the place of a proxy that is trusted, as that says."""
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


class _Open:
    """A path that needs no key."""

    def __init__(self, said: Callable[[], Awaitable[Answer]]) -> None:
        self._said = said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await (await self._said()).send(send, request_id_of(scope))


async def _alive() -> Answer:
    return response.of_json({"status": "ok"})


async def _no_such_route(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    request_id = request_id_of(scope)
    said = response.of_json({"errors": [{"detail": "not found", "status": "404"}]}, 404)
    await said.send(send, request_id)
    meters_of("none", "", "other", said.status)[0].value += 1
    # Not its path: that may hold a token as well as any other.
    log.info("request", method=scope["method"], route=None, status=said.status, request_id=request_id)
