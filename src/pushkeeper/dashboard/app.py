"""The dashboard as routes, to stand beside those of the APIs."""

from __future__ import annotations

import secrets
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
    jobs,
    messages,
    overview,
    people,
    reports,
    routes,
    settings,
    simulator,
    strikes,
    templates,
    users,
    webhooks,
    workspaces,
)
from pushkeeper.dashboard.ui import assets
from pushkeeper.dashboard.ui.page import look
from pushkeeper.dashboard.ui.response import Answer
from pushkeeper.errors import NotFound
from pushkeeper.web import forms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import Door
    from pushkeeper.dashboard.ui.page_request import Visit


def all_routes(context: Context) -> list[Route]:
    """All routes of the dashboard; none begins as one of the APIs does."""
    return [*guard.routes(context, all_doors(context)), Route("/static/{digest}/{name}", _Static())]


def all_doors(context: Context) -> Sequence[Door]:
    """All doors of the dashboard; the last is for what is none."""
    return [
        *login.doors(context),
        *workspaces.doors(context),
        *overview.doors(context),
        *devices.doors(context),
        *people.doors(context),
        *erasures.doors(context),
        *audiences.doors(context),
        *broadcast_form.doors(context),
        *broadcasts.doors(context),
        *messages.doors(context),
        *explain.doors(context),
        *reports.doors(context),
        *templates.doors(context),
        *credentials.doors(context),
        *routes.doors(context),
        *strikes.doors(context),
        *webhooks.doors(context),
        *jobs.doors(context),
        *settings.doors(context),
        *simulator.doors(context),
        *users.doors(context),
        *audit.doors(context),
        look("/w/{workspace}/{rest:path}", _nothing),
    ]


async def _nothing(visit: Visit) -> Answer:
    del visit
    raise NotFound("page: not found")


class _Static:
    """Files whose addresses hold what they are: whoever has one never asks again."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        zips, head = forms.zips(scope), scope["method"] == "HEAD"
        file = assets.by_path().get(scope["path"])
        if file is None:
            answer = Answer(status=404, body=b"not found", content_type=b"text/plain; charset=utf-8")
        else:
            encoding = ((b"content-encoding", b"gzip"),) if zips else ()
            answer = Answer(
                body=file.zipped if zips else file.body,
                content_type=file.content_type,
                headers=(assets.FOR_EVER, *encoding),
                kept=True,
            )
        await answer.send(send, request_id=secrets.token_hex(16), zipped=False, head=head)
