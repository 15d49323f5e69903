"""The dashboard's routes, served beside those of the APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from pushkeeper.dashboard.auth import guard, login
from pushkeeper.dashboard.pages import (
    audiences,
    audit,
    broadcast_form,
    broadcasts,
    credentials,
    devices,
    erasures,
    explain,
    exports,
    imports,
    jobs,
    messages,
    overview,
    people,
    reports,
    routes,
    sending,
    settings,
    simulator,
    strikes,
    templates,
    users,
    webhooks,
    workspaces,
)
from pushkeeper.dashboard.ui import assets
from pushkeeper.dashboard.ui.page import view
from pushkeeper.errors import NotFound
from pushkeeper.web.request import Request
from pushkeeper.web.response import PAGE_GUARDS, VARIES, ZIPPED, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest


def all_routes(context: Context) -> list[Route]:
    """All routes of the dashboard; none begins as one of the APIs does."""
    return [*guard.routes(context, all_page_routes(context)), Route("/static/{digest}/{name}", _Static())]


def all_page_routes(context: Context) -> Sequence[PageRoute]:
    """All routes of the dashboard; the last answers every other path."""
    return [
        *login.page_routes(context),
        *workspaces.page_routes(context),
        *overview.page_routes(context),
        *devices.page_routes(context),
        *people.page_routes(context),
        *erasures.page_routes(context),
        *exports.page_routes(context),
        *imports.page_routes(context),
        *audiences.page_routes(context),
        *broadcast_form.page_routes(context),
        *broadcasts.page_routes(context),
        *messages.page_routes(context),
        *explain.page_routes(context),
        *reports.page_routes(context),
        *templates.page_routes(context),
        *credentials.page_routes(context),
        *routes.page_routes(context),
        *sending.page_routes(context),
        *strikes.page_routes(context),
        *webhooks.page_routes(context),
        *jobs.page_routes(context),
        *settings.page_routes(context),
        *simulator.page_routes(context),
        *users.page_routes(context),
        *audit.page_routes(context),
        view("/w/{workspace}/{rest:path}", _nothing),
    ]


async def _nothing(request: PageRequest) -> Response:
    del request
    raise NotFound("This page does not exist")


class _Static:
    """Files with a hash of their content in the address: browsers cache them for ever."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        file, zipped = assets.by_path().get(scope["path"]), request.accepts_gzip
        if file is None:
            found = Response(b"not found", 404, content_type=b"text/plain; charset=utf-8")
        else:
            found = Response(
                file.zipped if zipped else file.body,
                headers=(assets.FOR_EVER, VARIES, *((ZIPPED,) if zipped else ())),
                content_type=file.content_type,
                kept=True,
            )
        await found.send(send, request.request_id, PAGE_GUARDS, head=request.method == "HEAD")
