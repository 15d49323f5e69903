"""The calls that take an App API key: of the App API, and of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.customerio import (
    activities,
    app_api,
    exports,
    imports,
    info,
    messages,
    preferences,
    segments,
    snippets,
    templates,
    triggered_broadcasts,
    triggers,
    webhooks,
)
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

if TYPE_CHECKING:
    from starlette.routing import Route

    from pushkeeper.api.context import Context


def routes(context: Context) -> list[Route]:
    """The routes of the App API and of our own API, which take the same keys."""
    return [
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
        *native_templates.routes(context),
        *sending.routes(context),
        *workspace.routes(context),
    ]
