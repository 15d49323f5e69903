"""Jobs: queued and failed ones, and why; retry and cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, run, table
from pushkeeper.cli.use_cases import actor, with_workspace

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.jobs import Job
    from pushkeeper.services.services import Services


@click.group(short_help="List, retry and cancel background jobs.")
def jobs() -> None:
    """List, retry and cancel background jobs: broadcast plans, recipient files, estimates, exports and failing webhooks.

    Failed jobs are retried with increasing delays, at most ten times.
    """


@jobs.command("list")
@in_workspace
@on_store
@as_json
def jobs_list(*, name: str, json: bool, **options: Any) -> None:
    """List unfinished jobs, newest first."""
    from pushkeeper.services.schemas.jobs import JobListView, JobView

    found = run(_all(name, options))
    rows = [
        [
            job.kind,
            str(job.item_id),
            job.state,
            str(job.attempts),
            "" if job.state == "failed" else f"{job.next_attempt_at:%Y-%m-%d %H:%M:%S}",
            job.reason or "",
        ]
        for job in found
    ]
    headings = ["kind", "id", "state", "attempts", "next attempt (UTC)", "reason"]
    text = table(rows, headings) if rows else "No pending jobs."
    answer(JobListView(jobs=[JobView.of(job) for job in found]), text, json=json)


@jobs.command("retry")
@click.argument("kind")
@click.argument("job", type=int)
@in_workspace
@on_store
@as_json
def jobs_retry(*, kind: str, job: int, name: str, json: bool, **options: Any) -> None:
    """Retry the JOB of a KIND now, with all of its attempts."""

    async def work(services: Services, workspace: WorkspaceId) -> Job:
        return await services.jobs.retry(actor(), workspace, kind, job)

    run(with_workspace(name, options, work))
    answer({"kind": kind, "id": job, "retried": True}, f"{kind} {job} is being retried.", json=json)


@jobs.command("cancel")
@click.argument("kind")
@click.argument("job", type=int)
@in_workspace
@on_store
@as_json
def jobs_cancel(*, kind: str, job: int, name: str, json: bool, **options: Any) -> None:
    """Cancel the JOB of a KIND."""

    async def work(services: Services, workspace: WorkspaceId) -> Job:
        return await services.jobs.cancel(actor(), workspace, kind, job)

    run(with_workspace(name, options, work))
    answer({"kind": kind, "id": job, "cancelled": True}, f"{kind} {job} was cancelled.", json=json)


async def _all(name: str, options: dict[str, Any]) -> list[Job]:
    return await with_workspace(name, options, lambda services, workspace: services.jobs.all(workspace))
