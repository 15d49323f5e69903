"""Jobs: what workers have yet to do, how often it was tried, and why it failed; retried and cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.jobs import Job
    from pushkeeper.web.response import Response

_COLUMNS: Sequence[Column[Job]] = (
    Column("kind", lambda one: one.kind),
    Column("id", lambda one: one.item_id),
    Column("name", lambda one: one.name),
    Column("state", lambda one: one.state),
    Column("attempts", lambda one: one.attempts),
    Column("reason", lambda one: one.reason),
    Column("next_attempt_at", lambda one: None if one.state == "failed" else one.next_attempt_at),
    Column("created_at", lambda one: one.created_at),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of jobs."""
    room = _Jobs(context)
    one = "/w/{workspace}/jobs/{job_kind}/{job}"
    return [
        view("/w/{workspace}/jobs", room.show),
        view("/w/{workspace}/jobs.csv", room.csv),
        action(f"{one}/retry", "job.retry", room.retry, room.show, Role.OPERATOR),
        action(f"{one}/cancel", "job.cancel", room.cancel, room.show, Role.OPERATOR),
    ]


class _Jobs:
    def __init__(self, context: Context) -> None:
        self._jobs = context.services.jobs
        self._names = context.cookies

    async def show(self, request: PageRequest) -> Response:
        return page(
            request,
            "jobs.html",
            jobs=await self._jobs.all(request.workspace_id),
            unreadable=await self._jobs.unreadable_rows(request.workspace_id),
        )

    async def csv(self, request: PageRequest) -> Response:
        return csv_of("jobs", _COLUMNS, await self._jobs.all(request.workspace_id))

    async def retry(self, request: PageRequest) -> ActionResult:
        kind, number = request.segments["job_kind"], request.number("job", "job")
        await self._jobs.retry(request.actor, request.workspace_id, kind, number)
        return self._done(request, f"{kind} {number}", "is being retried")

    async def cancel(self, request: PageRequest) -> ActionResult:
        kind, number = request.segments["job_kind"], request.number("job", "job")
        await self._jobs.cancel(request.actor, request.workspace_id, kind, number)
        return self._done(request, f"{kind} {number}", "was cancelled")

    def _done(self, request: PageRequest, target: str, what: str) -> ActionResult:
        notice = self._names.note(f"{target.capitalize()} {what}.")
        return ActionResult(answer=see_other(request.to("jobs"), notice))
