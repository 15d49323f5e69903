"""Broadcasts: a message to many is accepted when it is committed; started, paused, resumed and cancelled while it is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core.broadcasts import progress, schedule
from pushkeeper.core.filters.nodes import Or
from pushkeeper.errors import BadRequest, Conflict, NotFound
from pushkeeper.services.audiences import read_whole
from pushkeeper.services.audit import audited
from pushkeeper.services.broadcasts import creation, guards
from pushkeeper.services.broadcasts.creation import Creation
from pushkeeper.services.broadcasts.forecast import Estimates, audience_of
from pushkeeper.services.broadcasts.render_checks import RenderChecks
from pushkeeper.services.broadcasts.results import (
    BroadcastSummary,
    Rank,
    Result,
    best,
    summaries,
    summary_of,
)
from pushkeeper.services.broadcasts.results import audience_of as audience_of_plan
from pushkeeper.services.broadcasts.status import BroadcastStatus
from pushkeeper.services.messages.preview import Previews
from pushkeeper.services.messages.templates import MessageContent
from pushkeeper.store.broadcasts import broadcasts, estimates
from pushkeeper.store.broadcasts import progress as broadcast_progress
from pushkeeper.store.broadcasts import results as counts
from pushkeeper.store.broadcasts.broadcasts import Broadcast, BroadcastState, EstimateState
from pushkeeper.store.broadcasts.progress import FailureDetail, Minute, Tally
from pushkeeper.store.db.statements import LostRace
from pushkeeper.store.delivery import sending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.rendering.renderer import Renderer
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.services.broadcasts.creation import BroadcastRequest
    from pushkeeper.services.messages.preview import PlatformPreview
    from pushkeeper.services.messages.templates import Checks
    from pushkeeper.store.broadcasts.progress import RemainingDevices
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

__all__ = [
    "Broadcast",
    "BroadcastState",
    "BroadcastStatus",
    "Broadcasts",
    "EstimateState",
    "FailureDetail",
    "Minute",
    "Tally",
]

_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_NO_DEVICE = "no_device"
_NOT_FOUND = "Broadcast not found"
# What the audit log writes as it was and is, and of what only that it changed.
_WRITTEN = ("state", "paused_at", "name", "template_id", "unit", "per_s", "send_to_unsubscribed", "dry_run")
_NAMED = ("content", "audience", "device_ids", "schedule", "skip_without_permission", "one_per_phone")
_ENDED = frozenset({BroadcastState.PLANNED, BroadcastState.CANCELLED, BroadcastState.FAILED})


class Broadcasts:
    """The broadcasts of all workspaces."""

    def __init__(self, database: Database, checks: Checks, renderer: Renderer) -> None:
        """`checks` maps each platform to its content validators."""
        self._database = database
        self._creation = Creation(database, checks)
        self.estimates = Estimates(database, RenderChecks(database, checks, renderer))
        self._previews = Previews(database, checks, renderer)

    @audited("broadcast.make")
    async def create(
        self, entry: AuditEntry, workspace: WorkspaceId, request: BroadcastRequest, *, start: bool = False
    ) -> Broadcast:
        """Create a broadcast, a draft unless it is to `start`, and request its estimate.

        A request with a known idempotency key returns the broadcast that has it.

        Raises:
            BadRequest: the content is empty, no valid Liquid, or a provider would reject it; the audience is no valid
                filter; a listed person does not exist.
            Conflict: its idempotency key was used for a different request.
            Forbidden: the workspace has no credentials to send with.
            NotFound: the broadcast's template does not exist.
        """
        checked = await self._creation.check(workspace, request)

        async def work(connection: Connection) -> int:
            if request.once is not None:
                known = await broadcasts.once(connection, workspace, request.once[0])
                if known is not None:
                    entry.detail = "already existed (same idempotency key)"
                    return guards.same(known, request.once[1])
            made = await creation.insert(connection, workspace, checked, start=start)
            if made is None:
                raise LostRace  # another call with the same key was first; it is found now
            await estimates.request(connection, workspace, made)
            await entry.done_with(connection)
            return made

        number = await self._database.of(workspace).in_transaction(work)
        made = await self.one(workspace, number)
        entry.target = f"{number} {made.name or ''}".strip()
        entry.changed("state", None, made.state)
        return made

    @audited("broadcast.change", "broadcast_id")
    async def change(
        self,
        entry: AuditEntry,
        workspace: WorkspaceId,
        broadcast_id: int,
        request: BroadcastRequest,
        *,
        version: int | None = None,
    ) -> Broadcast:
        """Replace a draft, and request its estimate; its number and its idempotency key stay.

        Raises:
            BadRequest, Forbidden: as `create` does.
            Conflict: it was started, or has another version than this one.
            NotFound: it does not exist, or no broadcast template has that number.
        """
        checked = await self._creation.check(workspace, request)

        async def work(connection: Connection, broadcast: Broadcast) -> None:
            if broadcast.state is not BroadcastState.DRAFT:
                raise Conflict(
                    f"Broadcast {broadcast.broadcast_id} is {broadcast.shown_state}; only drafts can be edited"
                )
            guards.require_version(broadcast, version)
            await creation.replace(connection, broadcast, checked)
            await estimates.request(connection, workspace, broadcast_id)

        return await self._change(workspace, broadcast_id, work, entry)

    async def preview(self, workspace: WorkspaceId, request: BroadcastRequest) -> list[PlatformPreview]:
        """What it would say on each platform to somebody of its audience; where people are named, to somebody of all.

        Raises:
            BadRequest: as `create` does.
            NotFound: the broadcast's template does not exist.
        """
        letter = await self._creation.letter(workspace, request)
        node = None
        if request.audience is not None:
            node = await read_whole(self._database.of(workspace).rows, workspace, request.audience)
        return await self._previews.say(workspace, letter, node, request.unit)

    async def shown(self, workspace: WorkspaceId, broadcast: Broadcast) -> list[PlatformPreview]:
        """What a broadcast that was made says on each platform to somebody of its audience."""
        letter = MessageContent(content=broadcast.content, wording=broadcast.wording)
        try:
            node = (await audience_of(self._database, workspace, broadcast)).node
        except BadRequest:
            node = Or(())  # its saved audience was deleted since: nobody is in it
        return await self._previews.say(workspace, letter, node, broadcast.unit)

    async def one(self, workspace: WorkspaceId, broadcast_id: int) -> Broadcast:
        """One broadcast.

        Raises:
            NotFound: it does not exist.
        """
        found = await broadcasts.one(self._database, workspace, broadcast_id)
        if found is None:
            raise NotFound(_NOT_FOUND)
        return found

    async def all(self, workspace: WorkspaceId, *, before: int | None, limit: int) -> list[BroadcastSummary]:
        """The broadcasts of a workspace before a number, the newest first, with their status and results."""
        found = await broadcasts.of_workspace(self._database, workspace, before=before, limit=limit)
        return await summaries(self._database, workspace, found)

    async def ranked(
        self, workspace: WorkspaceId, rank: Rank, *, reverse: bool = False, offset: int = 0, limit: int
    ) -> list[BroadcastSummary]:
        """Some of the newest thousand broadcasts that began, in an order."""
        found = await best(self._database, workspace, rank, reverse=reverse, offset=offset, limit=limit)
        return await summaries(self._database, workspace, found)

    async def some(self, workspace: WorkspaceId, numbers: Sequence[int]) -> list[BroadcastSummary]:
        """Broadcasts by their numbers, in that order; one that does not exist is missing."""
        found = {one.broadcast_id: one for one in await broadcasts.some(self._database, workspace, numbers)}
        known = [found[number] for number in numbers if number in found]
        return await summaries(self._database, workspace, known)

    async def summary(self, broadcast: Broadcast) -> BroadcastSummary:
        """A broadcast with its status and results."""
        [found] = await summaries(self._database, broadcast.workspace_id, [broadcast])
        return found

    async def report(self, workspace: WorkspaceId, *, before: int | None, limit: int) -> list[Result]:
        """Broadcasts that began, the newest first: their estimates and their results."""
        found = await broadcasts.begun(self._database, workspace, before=before, limit=limit)
        return [Result.of(one) for one in await summaries(self._database, workspace, found)]

    async def estimate(self, workspace: WorkspaceId, broadcast_id: int) -> Broadcast:
        """Request another estimate of what to expect; a worker makes it, and the broadcast has its figures then.

        Raises:
            Conflict: the broadcast has begun.
            NotFound: it does not exist.
        """

        async def work(connection: Connection, broadcast: Broadcast) -> None:
            if broadcast.started_at is not None or broadcast.state in _ENDED:
                raise Conflict("Broadcast has already started; it cannot be estimated")
            await estimates.request(connection, workspace, broadcast_id)

        return await self._change(workspace, broadcast_id, work)

    async def standing(self, workspace: WorkspaceId, broadcast_id: int) -> BroadcastStatus:
        """How a broadcast does.

        Raises:
            NotFound: it does not exist.
        """
        broadcast, now = await self.one(workspace, broadcast_id), datetime.now(UTC)
        since, lately_s = progress.lately(broadcast.started_at, now)
        tallies: Sequence[Tally] = ()
        waiting: Sequence[RemainingDevices] = ()
        minutes: Sequence[Minute] = ()
        details: Sequence[FailureDetail] = ()
        if (message_id := broadcast.message_id) is not None:
            tallies = await broadcast_progress.tallies(self._database, workspace, message_id)
            waiting = await broadcast_progress.waiting(self._database, workspace, message_id)
            minutes = await broadcast_progress.minutes(self._database, workspace, message_id, since)
            if any(tally.ending == "failed" for tally in tallies):
                details = await broadcast_progress.details(self._database, workspace, message_id)
        facts = progress.ProgressInput(
            now=now,
            started=broadcast.started_at is not None,
            paused=broadcast.paused_at is not None,
            over=broadcast.is_over,
            sending_paused=await sending.one(self._database, workspace) is not None,
            audience=audience_of_plan(broadcast),
            settled=sum(tally.pushes for tally in tallies if tally.reason != _NO_DEVICE),
            settled_lately=sum(minute.pushes for minute in minutes),
            lately_s=lately_s,
            held_up=sum(one.devices for one in waiting if one.paused),
            last_due_at=max((one.last_at for one in waiting if one.later), default=None),
            bound_per_s=broadcast.per_s,
        )
        pending = broadcast.estimate is not None and broadcast.estimate.state is EstimateState.PENDING
        found = (
            ()
            if message_id is None
            else (await counts.of_messages(self._database, workspace, [message_id])).get(message_id, ())
        )
        return BroadcastStatus(
            broadcast=broadcast,
            summary=summary_of(broadcast, found, now),
            progress=progress.tell(facts),
            tallies=tallies,
            waiting=waiting,
            details=details,
            lacks_worker=pending and not await estimates.has_worker(self._database),
        )

    async def minutes(self, workspace: WorkspaceId, broadcast_id: int) -> list[Minute]:
        """Outcomes per minute (UTC) since it started.

        Raises:
            NotFound: it does not exist.
        """
        broadcast = await self.one(workspace, broadcast_id)
        if broadcast.message_id is None:
            return []
        return await broadcast_progress.minutes(self._database, workspace, broadcast.message_id, _EVER)

    @audited("broadcast.start", "broadcast_id")
    async def start(
        self, entry: AuditEntry, workspace: WorkspaceId, broadcast_id: int, *, version: int | None = None
    ) -> Broadcast:
        """Start a draft: it goes out at once, or at its scheduled time.

        Raises:
            Conflict: it was started already, or has another version than this one.
            NotFound: it does not exist.
        """

        async def work(connection: Connection, broadcast: Broadcast) -> None:
            if broadcast.state is not BroadcastState.DRAFT:
                raise Conflict(
                    f"Broadcast {broadcast.broadcast_id} has already started (state: {broadcast.shown_state})"
                )
            guards.require_version(broadcast, version)
            due = schedule.passes(broadcast.schedule, datetime.now(UTC))
            await broadcasts.start(connection, broadcast, due)

        return await self._change(workspace, broadcast_id, work, entry)

    @audited("broadcast.pause", "broadcast_id")
    async def pause(self, entry: AuditEntry, workspace: WorkspaceId, broadcast_id: int) -> Broadcast:
        """Pause sending until it is resumed; pushes in flight still arrive.

        Raises:
            Conflict: it is not under way, or is paused already.
            NotFound: it does not exist.
        """

        async def work(connection: Connection, broadcast: Broadcast) -> None:
            await guards.require_under_way(connection, broadcast)
            if broadcast.paused_at is not None:
                raise Conflict("Broadcast is already paused")
            await broadcasts.pause(connection, broadcast)

        return await self._change(workspace, broadcast_id, work, entry)

    @audited("broadcast.resume", "broadcast_id")
    async def resume(self, entry: AuditEntry, workspace: WorkspaceId, broadcast_id: int) -> Broadcast:
        """Resume sending.

        Raises:
            Conflict: it is not paused.
            NotFound: it does not exist.
        """

        async def work(connection: Connection, broadcast: Broadcast) -> None:
            if broadcast.paused_at is None:
                raise Conflict("Broadcast is not paused")
            await broadcasts.resume(connection, broadcast)

        return await self._change(workspace, broadcast_id, work, entry)

    @audited("broadcast.cancel", "broadcast_id")
    async def cancel(self, entry: AuditEntry, workspace: WorkspaceId, broadcast_id: int) -> Broadcast:
        """Cancel it: no more pushes leave, and every planned device gets a record that says so.

        Raises:
            Conflict: it is over already.
            NotFound: it does not exist.
        """

        async def work(connection: Connection, broadcast: Broadcast) -> None:
            if broadcast.state is not BroadcastState.DRAFT:
                await guards.require_under_way(connection, broadcast)
            await broadcasts.cancel(connection, broadcast)

        return await self._change(workspace, broadcast_id, work, entry)

    async def _change(
        self,
        workspace: WorkspaceId,
        broadcast_id: int,
        work: Callable[[Connection, Broadcast], Awaitable[None]],
        entry: AuditEntry | None = None,
    ) -> Broadcast:
        async def locked(connection: Connection) -> Broadcast:
            found = await broadcasts.lock(connection, workspace, broadcast_id)
            if found is None:
                raise NotFound(_NOT_FOUND)
            await work(connection, found)
            if entry is not None:
                await entry.done_with(connection)
            return found

        before = await self._database.of(workspace).in_transaction(locked)
        after = await self.one(workspace, broadcast_id)
        if entry is not None:
            entry.target = f"{broadcast_id} {after.name or ''}".strip()
            entry.changed_fields(before, after, *_WRITTEN)
            entry.replaced_fields(before, after, *_NAMED)
        return after
