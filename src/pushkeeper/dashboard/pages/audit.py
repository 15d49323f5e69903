"""The audit log: who changed what, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pushkeeper.core.model import WorkspaceId
from pushkeeper.core.pagination import Page
from pushkeeper.core.roles import Role, UserId
from pushkeeper.dashboard.ui.csv_download import CSV_ROWS, ROWS, Column, csv_of_pages
from pushkeeper.dashboard.ui.page import look
from pushkeeper.dashboard.ui.render import page
from pushkeeper.services.audit import ActorKind, Line, Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import Door
    from pushkeeper.dashboard.ui.page_request import Visit
    from pushkeeper.dashboard.ui.response import Answer

_COLUMNS: Sequence[Column[Line]] = (
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


def doors(context: Context) -> Sequence[Door]:
    """The doors of the audit log."""
    log = _Audit(context)
    return [look("/audit", log.show, Role.ADMIN), look("/audit.csv", log.csv, Role.ADMIN)]


class _Audit:
    def __init__(self, context: Context) -> None:
        self._users = context.services.accounts
        self._audit = context.services.audit

    async def show(self, visit: Visit) -> Answer:
        asked = {name: said for name in ("workspace", "user", "actor") if (said := visit.asked(name))}
        found = await self._audit.lines(_wanted(visit, visit.asked_number("start"), ROWS + 1))
        shown = found[:ROWS]
        following = (
            f"/audit?{urlencode({**asked, 'start': shown[-1].audit_id})}" if len(found) > ROWS else None
        )
        return page(
            visit,
            "audit.html",
            lines=shown,
            asked=asked,
            users=await self._users.all(),
            kinds=list(ActorKind),
            next=following,
        )

    async def csv(self, visit: Visit) -> Answer:
        async def read(before: int | None) -> Page[Line, int | None]:
            found = await self._audit.lines(_wanted(visit, before, CSV_ROWS))
            following = found[-1].audit_id if len(found) == CSV_ROWS else None
            return Page(found, following, whole=True)

        return await csv_of_pages("audit", _COLUMNS, read, None)


def _wanted(visit: Visit, before: int | None, limit: int) -> Wanted:
    workspace, user = visit.asked_number("workspace"), visit.asked_number("user")
    return Wanted(
        before=before,
        workspace_id=None if workspace is None else WorkspaceId(workspace),
        user_id=None if user is None else UserId(user),
        actor=ActorKind(kind) if (kind := visit.asked("actor")) in set(ActorKind) else None,
        limit=limit,
    )
