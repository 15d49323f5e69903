"""All APIs behind one door, and the dashboard beside them: no two share a method and a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from pushkeeper.api import openapi, web_push
from pushkeeper.api.customerio import (
    activities,
    app_api,
    cdp,
    delivery_reports,
    exports,
    imports,
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
from pushkeeper.api.health import Ready, alive
from pushkeeper.api.metrics import PATH, Prometheus
from pushkeeper.api.native import (
    audiences,
    broadcasts,
    devices,
    erasures,
    explain,
    jobs,
    reports,
    sending,
    strikes,
    workspace,
)
from pushkeeper.api.native import exports as native_exports
from pushkeeper.api.native import imports as native_imports
from pushkeeper.api.native import messages as native_messages
from pushkeeper.api.native import routes as native_routes
from pushkeeper.api.native import templates as native_templates
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
        *imports.routes(context),
        *jobs.routes(context),
        *openapi.routes(),
        *web_push.routes(context),
        *webhooks.routes(context),
        *devices.routes(context),
        *audiences.routes(context),
        *strikes.routes(context),
        *erasures.routes(context),
        *explain.routes(context),
        *native_imports.routes(context),
        *reports.routes(context),
        *native_exports.routes(context),
        *native_messages.routes(context),
        *native_routes.routes(context),
        *sending.routes(context),
        *native_templates.routes(context),
        *workspace.routes(context),
    ]
    return PathRouter(routes, beside, trusted_proxies=context.trusted_proxies, only_tls=context.only_tls)
