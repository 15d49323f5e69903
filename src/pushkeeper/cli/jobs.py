"""Jobs: queued and failed ones, and why; retry and cancel."""

from __future__ import annotations

from typing import Any

import click

from pushkeeper.cli.client import client_of, segment
from pushkeeper.cli.common import TaskGroup, answer, confirm, on_api, table, yes_option
from pushkeeper.cli.times import ago


@click.group(cls=TaskGroup, short_help="List, retry and cancel background jobs.")
def jobs() -> None:
    """List, retry and cancel background jobs: broadcast plans, recipient files, estimates, exports and failing webhooks.

    Failed jobs are retried with increasing delays, at most ten times.
    """


@jobs.command("list")
@on_api
def jobs_list(*, name: str | None, json: bool, **options: Any) -> None:
    """List unfinished jobs, newest first."""
    with client_of(options, name) as client:
        found = client.get("/api/v1/jobs")
    rows = [
        [
            one["kind"],
            str(one["id"]),
            one["state"],
            str(one["attempts"]),
            "" if one["next_attempt_at"] is None else ago(one["next_attempt_at"]),
            one["reason"] or "",
        ]
        for one in found["jobs"]
    ]
    headings = ["kind", "id", "state", "attempts", "next attempt", "reason"]
    answer(found, table(rows, headings) if rows else "No pending jobs.", json=json)


@jobs.command("retry")
@click.argument("kind")
@click.argument("job", type=int)
@on_api
def jobs_retry(*, kind: str, job: int, name: str | None, json: bool, **options: Any) -> None:
    """Retry the JOB of a KIND now, with all of its attempts."""
    with client_of(options, name) as client:
        client.post(f"/api/v1/jobs/{segment(kind)}/{job}/retry")
    answer({"kind": kind, "id": job, "retried": True}, f"{kind} {job} is being retried.", json=json)


@jobs.command("cancel")
@click.argument("kind")
@click.argument("job", type=int)
@yes_option
@on_api
def jobs_cancel(*, kind: str, job: int, yes: bool, name: str | None, json: bool, **options: Any) -> None:
    """Cancel the JOB of a KIND."""
    confirm(f"Cancel {kind} {job}?", yes=yes, json=json)
    with client_of(options, name) as client:
        client.post(f"/api/v1/jobs/{segment(kind)}/{job}/cancel")
    answer({"kind": kind, "id": job, "cancelled": True}, f"{kind} {job} was cancelled.", json=json)
