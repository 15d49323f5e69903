"""Jobs for operators: those that are queued, running, delayed or failed, and why; retry and cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.errors import Conflict, NotFound
from pushkeeper.services.audit import audited
from pushkeeper.store import jobs, unreadable_rows
from pushkeeper.store.broadcasts import broadcasts
from pushkeeper.store.delivery import workers
from pushkeeper.store.jobs import Job

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.unreadable_rows import UnreadableRow

__all__ = ["Job", "Jobs"]

_KINDS = {kind.name: kind for kind in jobs.KINDS}
_NOT_FOUND = "Job not found, or already done"


class Jobs:
    """The jobs of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, workspace: WorkspaceId) -> list[Job]:
        """The last two hundred jobs of a workspace that are not done, the newest first."""
        return await jobs.of_workspace(self._database, workspace)

    async def unreadable_rows(self, workspace: WorkspaceId) -> list[UnreadableRow]:
        """The rows that workers and pages could not read in the last day, the latest first."""
        return await unreadable_rows.of_workspace(self._database, workspace)

    async def workers(self) -> int:
        """How many workers are alive."""
        return await workers.alive(self._database)

    @audited("job.retry", "kind", "item")
    async def retry(self, entry: AuditEntry, workspace: WorkspaceId, kind: str, item: int) -> Job:
        """Let a job have its next attempt now, and all of its attempts again.

        Raises:
            NotFound: it does not exist, or is already done.
        """
        found = await self._one(workspace, kind, item)
        if not await jobs.change(self._database, workspace, _KINDS[kind].retry, item):
            raise NotFound(_NOT_FOUND)
        entry.changed("state", found.state, "waiting")
        return found

    @audited("job.cancel", "kind", "item")
    async def cancel(self, entry: AuditEntry, workspace: WorkspaceId, kind: str, item: int) -> Job:
        """Cancel a job.

        Raises:
            Conflict: it is a failed broadcast: nothing of it is left to cancel.
            NotFound: it does not exist, or is already done.
        """
        found = await self._one(workspace, kind, item)
        cancel = _KINDS[kind].cancel
        if cancel is None:
            if found.state == "failed":
                raise Conflict("The job has failed and is not retried any more")
            await self._cancel_broadcast(workspace, item)
        elif not await jobs.change(self._database, workspace, cancel, item):
            raise NotFound(_NOT_FOUND)
        entry.changed("state", found.state, "cancelled")
        return found

    async def _cancel_broadcast(self, workspace: WorkspaceId, item: int) -> None:
        async def work(connection: Connection) -> None:
            locked = await broadcasts.lock(connection, workspace, item)
            if locked is None:
                raise NotFound(_NOT_FOUND)
            await broadcasts.cancel(connection, locked)

        await self._database.of(workspace).in_transaction(work)

    async def _one(self, workspace: WorkspaceId, kind: str, item: int) -> Job:
        found = await jobs.of_workspace(self._database, workspace, (kind, item)) if kind in _KINDS else []
        if not found:
            raise NotFound(_NOT_FOUND)
        return found[0]
