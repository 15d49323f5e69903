"""Sending: paused and resumed for a whole workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.errors import BadRequest, Conflict
from pushkeeper.services.audit import audited
from pushkeeper.store.delivery import sending
from pushkeeper.store.delivery.sending import SendingPause

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

__all__ = ["MAX_REASON_CHARACTERS", "Sending", "SendingPause", "SendingState"]

MAX_REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingState:
    """Whether a workspace sends, and how many devices pushes are queued for."""

    pause: SendingPause | None
    queued: int


class Sending:
    """The emergency switch of each workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, workspace: WorkspaceId) -> SendingState:
        """Whether a workspace sends now."""
        return SendingState(
            pause=await sending.one(self._database, workspace),
            queued=await sending.queued(self._database, workspace),
        )

    async def pause_of(self, workspace: WorkspaceId) -> SendingPause | None:
        """The pause of a workspace; None while it sends."""
        return await sending.one(self._database, workspace)

    @audited("sending.pause")
    async def pause(self, entry: AuditEntry, workspace: WorkspaceId, reason: str) -> SendingState:
        """Send nothing more of a workspace until it is resumed; pushes in flight still arrive, all others wait or expire.

        Raises:
            BadRequest: the reason is too long.
            Conflict: it is paused already.
        """
        reason = reason.replace("\0", "").strip()
        if len(reason) > MAX_REASON_CHARACTERS:
            raise BadRequest("reason", f"at most {MAX_REASON_CHARACTERS} characters", "too_large")
        entry.detail = reason

        async def work(connection: Connection) -> None:
            if not await sending.pause(connection, workspace, reason, entry.by):
                raise Conflict("Sending is already paused")
            await entry.done_with(connection)

        await self._database.of(workspace).in_transaction(work)
        return await self.state(workspace)

    @audited("sending.resume")
    async def resume(self, entry: AuditEntry, workspace: WorkspaceId) -> SendingState:
        """Let a workspace send again.

        Raises:
            Conflict: it is not paused.
        """

        async def work(connection: Connection) -> None:
            if not await sending.resume(connection, workspace):
                raise Conflict("Sending is not paused")
            await entry.done_with(connection)

        await self._database.of(workspace).in_transaction(work)
        state = await self.state(workspace)
        entry.detail = f"pushes queued for {state.queued:,} devices"
        return state
