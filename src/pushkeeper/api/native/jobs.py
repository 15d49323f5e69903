"""Native API for jobs: those that are queued, running, delayed or failed, and why; retry and cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.services.schemas.jobs import JobListView, JobView
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.response import Response


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    jobs = _Jobs(context)
    surface = native(context)
    return [
        surface.route("/api/v1/jobs", GET=jobs.all),
        surface.route("/api/v1/jobs/{kind}/{job}/retry", POST=jobs.retry),
        surface.route("/api/v1/jobs/{kind}/{job}/cancel", POST=jobs.cancel),
    ]


class _Jobs:
    def __init__(self, context: Context) -> None:
        self._jobs = context.services.jobs

    async def all(self, call: Call) -> Response:
        found = await self._jobs.all(call.workspace_id)
        return response.of_json(JobListView(jobs=[JobView.of(job) for job in found]))

    async def retry(self, call: Call) -> Response:
        await self._jobs.retry(call.actor, call.workspace_id, call.segment("kind"), call.number("job", "job"))
        return response.empty()

    async def cancel(self, call: Call) -> Response:
        await self._jobs.cancel(
            call.actor, call.workspace_id, call.segment("kind"), call.number("job", "job")
        )
        return response.empty()
