"""All APIs behind one door, and the dashboard beside them: no two share a method and a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from pushkeeper.api import app_key, openapi, web_push
from pushkeeper.api.customerio import cdp, delivery_reports, track_v1, track_v2
from pushkeeper.api.health import Ready, alive
from pushkeeper.api.metrics import PATH, Prometheus
from pushkeeper.services.metrics_snapshot import MetricsSnapshot
from pushkeeper.services.readiness import Readiness
from pushkeeper.web.router import OpenPath, PathRouter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp

    from pushkeeper.api.context import Context


def build(context: Context, beside: Sequence[Route] = ()) -> ASGIApp:
    """The application that serves all APIs and the other paths of this address."""
    routes: list[Route] = [
        *track_v1.routes(context),
        *cdp.routes(context),
        *track_v2.routes(context),
        *delivery_reports.routes(context),
        Route("/healthz", OpenPath(alive)),
        Route("/readyz", OpenPath(Ready(Readiness(context.services.database)))),
        Route(
            PATH,
            Prometheus(
                MetricsSnapshot(context.services.database, context.cell, context.figures),
                context.metrics_token,
            ),
        ),
        *app_key.routes(context),
        *openapi.routes(),
        *web_push.routes(context),
    ]
    return PathRouter(routes, beside, trusted_proxies=context.trusted_proxies, only_tls=context.only_tls)
