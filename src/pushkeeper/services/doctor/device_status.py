"""Whether devices consistent with their history, and whether jobs get done."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from pushkeeper.errors import TooManyRequests, TooSlow
from pushkeeper.services.doctor.finding import attention, ok, wrong
from pushkeeper.services.strikes import Strikes
from pushkeeper.store import jobs, unreadable_rows
from pushkeeper.store.admin import workspaces

if TYPE_CHECKING:
    from pushkeeper.services.doctor.finding import Finding
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.jobs import FailingJob

_LEDGER = "ledger"
_JOBS = "jobs"
_ROWS = "rows"
_DEVICES_OF_A_PART = 50_000
_MOST_PARTS = 1 << 16
_SAMPLED_FOR_S = 10.0


async def of_ledger(database: Database, *, whole: bool) -> list[Finding]:
    """Check, for each workspace, that devices' statuses match their history; in large ones for a sample, or the `whole`."""
    strikes = Strikes(database)
    found = []
    for workspace in await workspaces.list_all(database):
        parts = min(max(workspace.devices // _DEVICES_OF_A_PART, 1), _MOST_PARTS)
        try:
            checked = await strikes.verify(
                workspace.workspace_id, parts=parts, within_s=inf if whole else _SAMPLED_FOR_S
            )
        except (TooSlow, TooManyRequests) as error:
            todo = "try again when the database is less busy"
            found.append(attention(_LEDGER, error.message, todo, about=workspace.name))
            continue
        if checked.wrong:
            first = checked.examples[0]
            summary = (
                f"{checked.wrong:,} of {checked.devices:,} devices don't match their history: {first['what']}"
            )
            todo = f"compare the rows of device {first['device']} in devices and device_history, and report the problem"
            found.append(wrong(_LEDGER, summary, todo, about=workspace.name))
        else:
            sampled = (
                f" ({checked.share:.0%} of all; --whole-history checks every device)"
                if checked.share < 1
                else ""
            )
            unchecked = (
                f"; the history of {checked.unchecked:,} has been deleted" if checked.unchecked else ""
            )
            summary = f"{checked.devices:,} devices consistent with their history{unchecked}{sampled}"
            found.append(ok(_LEDGER, summary, about=workspace.name))
    return found


async def of_jobs(database: Database) -> list[Finding]:
    """Jobs that failed in the last week, or that fail again and again."""
    found = await jobs.troubled(database)
    return [_of_job(job) for job in found] or [ok(_JOBS, "no failing jobs")]


async def of_rows(database: Database) -> list[Finding]:
    """Rows that could not be read in the last day."""
    found = await unreadable_rows.counts(database)
    todo = "see `row_unreadable` in the log for the rows' keys, and report the error"
    return [
        attention(
            _ROWS, f"{one.rows:,} of {one.table_name} cannot be read: {one.reason}", todo, about=one.workspace
        )
        for one in found
    ] or [ok(_ROWS, "no unreadable rows")]


def _of_job(job: FailingJob) -> Finding:
    about = f"{job.workspace}: {job.kind} {job.item_id}"
    todo = "see the reason; then `pushkeeper jobs retry` or `pushkeeper jobs cancel`"
    if job.state == "failed":
        return attention(_JOBS, f"failed: {job.reason}", todo, about=about)
    return attention(_JOBS, f"failed {job.attempts} times in a row: {job.reason}", todo, about=about)
