"""Jobs: items that workers claim fairly by workspace, each with a lease, its attempts and its last error in its own row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core import job_retry
from pushkeeper.store.db.database import PLAN_CHANNEL, storable
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """One kind of job.

    Attributes:
        table, key: its items' rows; `next` is the column with the time of the next attempt.
        open: the query of pending and running items.
        fail: the statement that fails an item permanently; `retry` and `cancel` are an operator's. None: see
            `store/broadcasts/broadcasts.py`.
        look_s: the polling interval, beside notifications on `channel`.
        at_once: how many a worker runs concurrently; `per_workspace`: how many of one workspace all workers run.
    """

    name: str
    table: str
    key: str
    next: str = "next_attempt_at"
    open: str
    fail: str
    retry: str
    cancel: str | None = None
    at_once: int
    per_workspace: int
    most_attempts: int = job_retry.MOST_ATTEMPTS
    look_s: float = 5.0
    channel: str | None = PLAN_CHANNEL

    def query(self, template: str) -> str:
        """A query of this file for this kind."""
        for hole in ("table", "key", "next"):
            template = template.replace(f"{{{hole}}}", getattr(self, hole))
        return template.replace("{open}", self.open.removesuffix(";"))


MOST_BATCHES = 400  # of one broadcast in the queue before its plan waits


def plan(most_batches: int = MOST_BATCHES) -> JobKind:
    """Planning of which so many batches of one broadcast may wait in the queue before its plan does."""
    return JobKind(
        name="plan",
        table="broadcasts",
        key="broadcast_id",
        open=SQL["plans"].replace("{most_batches}", str(most_batches)),
        fail=SQL["fail_broadcast"],
        retry=SQL["retry_broadcast"],
        at_once=3,
        per_workspace=1,
    )


PLAN = plan()
FILE = JobKind(
    name="file",
    table="broadcasts",
    key="broadcast_id",
    open=SQL["files"],
    fail=SQL["fail_broadcast"],
    retry=SQL["retry_broadcast"],
    at_once=16,
    per_workspace=2,
    most_attempts=4,  # its caller waits for the result
)
EXPORT = JobKind(
    name="export",
    table="exports",
    key="export_id",
    open=SQL["exports"],
    fail=SQL["fail_export"],
    retry=SQL["retry_export"],
    cancel=SQL["cancel_export"],
    at_once=2,
    per_workspace=1,
)
IMPORT = JobKind(
    name="import",
    table="imports",
    key="import_id",
    open=SQL["imports"],
    fail=SQL["fail_import"],
    retry=SQL["retry_import"],
    cancel=SQL["cancel_import"],
    at_once=1,
    per_workspace=1,
)
ESTIMATE = JobKind(
    name="estimate",
    table="broadcast_estimates",
    key="broadcast_id",
    open=SQL["estimates"],
    fail=SQL["fail_estimate"],
    retry=SQL["retry_estimate"],
    cancel=SQL["cancel_estimate"],
    at_once=3,
    per_workspace=1,
    most_attempts=4,  # somebody waits to read it
)
# An item is a webhook: one call at a time goes to an endpoint, and what can't be told to it waits in its row (store/webhooks.py).
WEBHOOK = JobKind(
    name="webhook",
    table="webhooks",
    key="webhook_id",
    next="due_at",
    open=SQL["webhooks"],
    fail=SQL["fail_webhook"],
    retry=SQL["retry_webhook"],
    cancel=SQL["cancel_webhook"],
    at_once=64,
    per_workspace=4,
    look_s=1.0,
    channel=None,
)
KINDS = (PLAN, FILE, ESTIMATE, EXPORT, IMPORT, WEBHOOK)

_ALL = " union all ".join(
    query.removesuffix(";")
    for query in (
        SQL["of_broadcasts"],
        SQL["of_estimates"],
        SQL["of_exports"],
        SQL["of_imports"],
        SQL["of_webhooks"],
    )
)


def of_all(query: str) -> str:
    """A query about the jobs of all kinds, of all workspaces or of its $1."""
    own = _ALL.replace("{whose}", "workspace_id = $1")
    return query.replace("{jobs}", _ALL).replace("{own_jobs}", own).replace("{whose}", "true")


@dataclass(frozen=True, slots=True)
class Claim:
    """An item that this worker alone may work at; `attempts` counts this one and those that failed before it."""

    workspace_id: WorkspaceId
    item_id: int
    claim_id: UUID
    attempts: int

    @property
    def row(self) -> tuple[WorkspaceId, int, UUID]:
        """What says in a statement that the item is still claimed by it."""
        return self.workspace_id, self.item_id, self.claim_id


class ClaimLost(Exception):
    """The item was cancelled or changed, or somebody else has it by now: nothing more may be written of it."""


async def claim(database: Database, kind: JobKind, *, most: int, lease_s: float) -> list[Claim]:
    """Claim up to so many items that are due."""

    async def work(connection: Connection) -> list[Claim]:
        await connection.execute(SQL["alone"], kind.name)
        query = kind.query(SQL["claim"])
        rows = await connection.fetch(query, kind.name, lease_s, most, kind.per_workspace)
        return [Claim(**row) for row in rows]

    return await database.in_transaction(work)


async def renew(database: Database, kind: JobKind, claim: Claim, *, lease_s: float) -> bool:
    """Keep an item for another lease; False when it is somebody else's by now."""
    kept = await database.of(claim.workspace_id).value(kind.query(SQL["renew"]), *claim.row, lease_s)
    return kept is not None


async def finish(database: Database, kind: JobKind, claim: Claim) -> None:
    """An attempt did something; what is left of the item, if anything is, has its turn after all others."""
    await database.of(claim.workspace_id).rows(kind.query(SQL["finish"]), *claim.row)


async def give_back(database: Database, kind: JobKind, claim: Claim, *, wait_s: float) -> None:
    """An attempt ended for a reason that is none of the item's, and does not count."""
    await database.of(claim.workspace_id).rows(kind.query(SQL["give_back"]), *claim.row, wait_s)


async def put_off(database: Database, kind: JobKind, claim: Claim, *, wait_s: float, reason: str) -> None:
    """An attempt failed; there is another after so long."""
    await database.of(claim.workspace_id).rows(
        kind.query(SQL["put_off"]), *claim.row, wait_s, storable(reason)[:_LONGEST_REASON]
    )


async def fail(database: Database, kind: JobKind, claim: Claim, *, reason: str) -> None:
    """The last attempt failed."""
    await database.of(claim.workspace_id).rows(kind.fail, *claim.row, storable(reason)[:_LONGEST_REASON])


async def next_due_s(database: Database, kind: JobKind) -> float | None:
    """Seconds until the next item is due; None without one."""
    found: float | None = await database.value(kind.query(SQL["next_due_s"]))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An unfinished job.

    Attributes:
        state: `waiting`, `running`, `put_off` after a failed attempt, or `failed` for good.
        attempts: that failed in a row, with the one that is running.
        reason: why the last of them failed.
    """

    kind: str
    item_id: int
    name: str
    state: str
    attempts: int
    next_attempt_at: datetime
    reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingJob:
    """A job that failed, or fails again and again."""

    workspace: str
    kind: str
    item_id: int
    state: str
    attempts: int
    reason: str | None


async def of_workspace(
    database: Database, workspace: WorkspaceId, only: tuple[str, int] | None = None
) -> list[Job]:
    """The last two hundred jobs of a workspace that are not done, the newest first; or only one, by kind and number."""
    kind, item = only or (None, None)
    rows = await database.of(workspace).rows(of_all(SQL["of_workspace"]), workspace, kind, item)
    return [Job(**row) for row in rows]


async def state_counts(database: Database) -> list[tuple[str, str, int]]:
    """How many jobs are not done, by kind and state."""
    rows = await database.rows(of_all(SQL["state_counts"]))
    return [(row["kind"], row["state"], row["jobs"]) for row in rows]


async def troubled(database: Database) -> list[FailingJob]:
    """Jobs that failed in the last week, or more than twice in a row; webhooks are listed separately."""
    return [FailingJob(**row) for row in await database.rows(of_all(SQL["troubled"]))]


async def change(database: Database, workspace: WorkspaceId, statement: str, item: int) -> bool:
    """Retry or cancel an item by the statement of its kind, and say whether there is one for which that can be."""

    async def work(connection: Connection) -> bool:
        changed = await connection.fetchval(statement, workspace, item)
        await connection.execute(f"notify {PLAN_CHANNEL}")
        return changed is not None

    return await database.of(workspace).in_transaction(work)
