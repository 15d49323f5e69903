"""The audit log: who changed what, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pushkeeper.core.model import WorkspaceId
from pushkeeper.core.pagination import Page
from pushkeeper.core.roles import Role, UserId
from pushkeeper.dashboard.ui.csv_download import CSV_ROWS, ROWS, Column, csv_of_pages
from pushkeeper.dashboard.ui.page import view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.services.audit import ActorKind, AuditFilter, AuditLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.web.response import Response

_COLUMNS: Sequence[Column[AuditLine]] = (
    Column("at", lambda one: one.at),
    Column("actor", lambda one: one.actor),
    Column("user", lambda one: one.user_name),
    Column("action", lambda one: one.action),
    Column("workspace", lambda one: one.workspace),
    Column("target", lambda one: one.target),
    Column("outcome", lambda one: one.outcome),
    Column("detail", lambda one: one.detail),
    Column("address", lambda one: one.address),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of the audit log."""
    log = _Audit(context)
    return [view("/audit", log.show, Role.ADMIN), view("/audit.csv", log.csv, Role.ADMIN)]


class _Audit:
    def __init__(self, context: Context) -> None:
        self._users = context.services.accounts
        self._audit = context.services.audit

    async def show(self, request: PageRequest) -> Response:
        asked = {name: said for name in ("workspace", "user", "actor") if (said := request.asked(name))}
        found = await self._audit.lines(_wanted(request, request.asked_number("start"), ROWS + 1))
        shown = found[:ROWS]
        following = (
            f"/audit?{urlencode({**asked, 'start': shown[-1].audit_id})}" if len(found) > ROWS else None
        )
        return page(
            request,
            "audit.html",
            lines=shown,
            asked=asked,
            users=await self._users.all(),
            kinds=list(ActorKind),
            next=following,
        )

    async def csv(self, request: PageRequest) -> Response:
        async def read(before: int | None) -> Page[AuditLine, int | None]:
            found = await self._audit.lines(_wanted(request, before, CSV_ROWS))
            following = found[-1].audit_id if len(found) == CSV_ROWS else None
            return Page(found, following, whole=True)

        return await csv_of_pages("audit", _COLUMNS, read, None)


def _wanted(request: PageRequest, before: int | None, limit: int) -> AuditFilter:
    workspace, user = request.asked_number("workspace"), request.asked_number("user")
    return AuditFilter(
        before=before,
        workspace_id=None if workspace is None else WorkspaceId(workspace),
        user_id=None if user is None else UserId(user),
        actor=ActorKind(kind) if (kind := request.asked("actor")) in set(ActorKind) else None,
        limit=limit,
    )
