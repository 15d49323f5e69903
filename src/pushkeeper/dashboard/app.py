"""The dashboard as routes, to stand beside those of the APIs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.routing import Route

from pushkeeper.dashboard import (
    audiences,
    audit,
    broadcasts,
    compose,
    credentials,
    devices,
    entering,
    erasures,
    explain,
    gate,
    jobs,
    messages,
    overview,
    people,
    reading,
    reports,
    routes,
    settings,
    simulator,
    static,
    templates,
    undo,
    users,
    webhooks,
    workspaces,
)
from pushkeeper.dashboard.answer import Answer
from pushkeeper.dashboard.door import look
from pushkeeper.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from pushkeeper.dashboard.door import Door
    from pushkeeper.dashboard.rooms import Rooms
    from pushkeeper.dashboard.visit import Visit


def all_routes(rooms: Rooms) -> list[Route]:
    """All routes of the dashboard; none begins as one of the APIs does."""
    return [*gate.routes(rooms, all_doors(rooms)), Route("/static/{digest}/{name}", _Static())]


def all_doors(rooms: Rooms) -> Sequence[Door]:
    """All doors of the dashboard; the last is for what is none."""
    return [
        *entering.doors(rooms),
        *workspaces.doors(rooms),
        *overview.doors(rooms),
        *devices.doors(rooms),
        *people.doors(rooms),
        *erasures.doors(rooms),
        *audiences.doors(rooms),
        *compose.doors(rooms),
        *broadcasts.doors(rooms),
        *messages.doors(rooms),
        *explain.doors(rooms),
        *reports.doors(rooms),
        *templates.doors(rooms),
        *credentials.doors(rooms),
        *routes.doors(rooms),
        *undo.doors(rooms),
        *webhooks.doors(rooms),
        *jobs.doors(rooms),
        *settings.doors(rooms),
        *simulator.doors(rooms),
        *users.doors(rooms),
        *audit.doors(rooms),
        look("/w/{workspace}/{rest:path}", _nothing),
    ]


async def _nothing(visit: Visit) -> Answer:
    del visit
    raise NotFound("page: not found")


class _Static:
    """Files whose addresses hold what they are: whoever has one never asks again."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        zips, head = reading.zips(scope), scope["method"] == "HEAD"
        file = static.by_path().get(scope["path"])
        if file is None:
            answer = Answer(status=404, body=b"not found", content_type=b"text/plain; charset=utf-8")
        else:
            encoding = ((b"content-encoding", b"gzip"),) if zips else ()
            answer = Answer(
                body=file.zipped if zips else file.body,
                content_type=file.content_type,
                headers=(static.FOR_EVER, *encoding),
                kept=True,
            )
        await answer.send(send, request_id=secrets.token_hex(16), zipped=False, head=head)
