"""Jobs: what workers have yet to do, how often it was tried, and why it failed; retried and cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import Done, change, look
from pushkeeper.dashboard.ui.render import page
from pushkeeper.dashboard.ui.response import led_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import Door
    from pushkeeper.dashboard.ui.page_request import Visit
    from pushkeeper.dashboard.ui.response import Answer
    from pushkeeper.services.jobs import Job

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


def doors(context: Context) -> Sequence[Door]:
    """The doors of jobs."""
    room = _Jobs(context)
    one = "/w/{workspace}/jobs/{job_kind}/{job}"
    return [
        look("/w/{workspace}/jobs", room.show),
        look("/w/{workspace}/jobs.csv", room.csv),
        change(f"{one}/retry", "job.retry", room.retry, room.show, Role.OPERATOR),
        change(f"{one}/cancel", "job.cancel", room.cancel, room.show, Role.OPERATOR),
    ]


class _Jobs:
    def __init__(self, context: Context) -> None:
        self._jobs = context.services.jobs
        self._names = context.cookies

    async def show(self, visit: Visit) -> Answer:
        return page(
            visit,
            "jobs.html",
            jobs=await self._jobs.all(visit.workspace_id),
            unreadable=await self._jobs.unreadable_rows(visit.workspace_id),
        )

    async def csv(self, visit: Visit) -> Answer:
        return csv_of("jobs", _COLUMNS, await self._jobs.all(visit.workspace_id))

    async def retry(self, visit: Visit) -> Done:
        kind, number = visit.segments["job_kind"], visit.number("job", "job")
        await self._jobs.retry(visit.actor, visit.workspace_id, kind, number)
        return self._done(visit, f"{kind} {number}", "is tried again now")

    async def cancel(self, visit: Visit) -> Done:
        kind, number = visit.segments["job_kind"], visit.number("job", "job")
        await self._jobs.cancel(visit.actor, visit.workspace_id, kind, number)
        return self._done(visit, f"{kind} {number}", "is cancelled")

    def _done(self, visit: Visit, target: str, what: str) -> Done:
        notice = self._names.note(f"{target.capitalize()} {what}.")
        return Done(answer=led_to(visit.to("jobs"), notice))
