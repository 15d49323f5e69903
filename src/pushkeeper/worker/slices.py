"""Slices: results of some pushes, written in one transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING

from pushkeeper.core.actor import job
from pushkeeper.core.delivery.outcome import Accepted, BadMessage
from pushkeeper.core.delivery.retry import ACCEPTED
from pushkeeper.observability.logs import logger
from pushkeeper.services.audit import write_with
from pushkeeper.store import webhooks
from pushkeeper.store.delivery import accepted_pushes, held_refusals, pushes, queue, routes
from pushkeeper.store.devices import devices
from pushkeeper.store.messages import messages
from pushkeeper.worker.results import (
    Answered,
    PushResult,
    Slice,
    acceptance,
    failed_attempt,
    held_verdict,
    push_row,
    requeues,
    settlement,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from pushkeeper.core.model import DeviceId, WorkspaceId
    from pushkeeper.store.db import commits
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.delivery.accepted_pushes import Acceptance
    from pushkeeper.store.delivery.queue import Claim
    from pushkeeper.worker.in_hand import Work
    from pushkeeper.worker.metrics import WorkerMetrics

log = logger("settle")


async def write(database: Database, slice_: Slice, metrics: WorkerMetrics) -> set[UUID]:
    """Write a slice, and return the messages that stop by what their devices' providers said."""
    return await Attempt(slice_, metrics).write(database)


class Attempt:
    """An attempt to write a slice in one transaction.

    Results of a batch whose claim was lost are dropped: the new holder of the claim settles it.

    Attributes:
        transaction: its ID; None while nothing was written.
        stopped: messages that stop because of a provider's response.
    """

    def __init__(self, slice_: Slice, metrics: WorkerMetrics, *, cautious: bool = False) -> None:
        """A `cautious` one puts nothing back into the queue that has left its batch already, by an attempt before it."""
        self.transaction: commits.Transaction | None = None
        self.stopped: set[UUID] = set()
        self._slice = slice_
        self._metrics = metrics
        self._cautious = cautious
        self._began_at = perf_counter()
        self._written: Sequence[PushResult] = ()
        self._gone: set[int] = set()  # batches that are not ours
        self._lost: set[int] = set()  # those of them that somebody else has
        self._by_batch: dict[int, list[PushResult]] = {}
        for outcome in slice_.outcomes:
            self._by_batch.setdefault(outcome.work.batch.claim.batch_id, []).append(outcome)

    async def write(self, database: Database) -> set[UUID]:
        """Write routes first, then pushes, statuses with their history, queued pushes, and the remaining batches."""
        await database.in_transaction(self._work)
        self._metrics.settled(self._written, took_s=perf_counter() - self._began_at)
        for outcome in self._written:
            outcome.work.unsettled.pop(outcome.device_id, None)
        for batch_id in self._gone:
            self._by_batch[batch_id][0].work.unsettled.clear()
        if self._lost:
            log.warning("claims_lost", batches=sorted(self._lost))
        return self.stopped

    async def _work(self, connection: Connection) -> None:
        claims = [group[0].work.batch.claim for group in self._by_batch.values()]
        ours, self.transaction = await queue.still_claimed(connection, claims)
        self._written = mine = [outcome for batch_id in ours for outcome in self._by_batch[batch_id]]
        self._gone = self._lost = set(self._by_batch) - ours
        await _write_routes(connection, self._slice, mine)
        self.stopped = await _write_pushes(connection, mine)
        await _write_held(connection, mine)
        there = await self._still_in_their_batches(connection, claims, mine) if self._cautious else mine
        failed = [attempt for outcome in there if (attempt := failed_attempt(outcome)) is not None]
        if failed:
            await webhooks.report_attempts(connection, failed)
        again = requeues(there, datetime.now(UTC))
        for new in again:
            await queue.requeue(connection, new)
        await _write_batches(connection, mine, {new.batch.claim.batch_id for new in again})
        # Last: all workers write to these rows, and the lock ends with the commit.
        await routes.count(connection, self._slice.results)

    async def _still_in_their_batches(
        self, connection: Connection, claims: Sequence[Claim], outcomes: Sequence[PushResult]
    ) -> Sequence[PushResult]:
        """Those facts that no attempt before this one has put back into the queue; batches that it ended are not lost."""
        found = await queue.devices(connection, claims)
        self._lost = self._gone & found.keys()
        there = []
        for outcome in outcomes:
            devices = found[outcome.work.batch.claim.batch_id]
            if devices is None or outcome.device_id in devices:
                there.append(outcome)
        return there


async def _write_pushes(connection: Connection, outcomes: Sequence[PushResult]) -> set[UUID]:
    """Write the rows of pushes, and settle their devices; returns the messages that stop."""
    # A device that hears something else too, in the same slice, hears all of it in order.
    mixed = {
        outcome.device_id
        for outcome in outcomes
        if isinstance(outcome, Answered) and outcome.decision != ACCEPTED
    }
    accepted: list[Acceptance] = []
    others: list[PushResult] = []
    for outcome in outcomes:
        taken = acceptance(outcome)
        if taken is None or outcome.device_id in mixed:
            others.append(outcome)
        else:
            accepted.append(taken)
    left = await accepted_pushes.settle(connection, accepted) if accepted else set()
    new = await pushes.insert(
        connection, [row for outcome in others if (row := push_row(outcome)) is not None]
    )
    concerned = left | new
    heard = [
        outcome
        for outcome in outcomes
        if concerned
        and isinstance(outcome, Answered)
        and (outcome.push.message_id, outcome.device_id) in concerned
    ]
    settlements = [done for outcome in heard if (done := settlement(outcome)) is not None]
    if settlements:
        await devices.settle(connection, settlements)
    return await _stop_malformed(connection, heard)


async def _stop_malformed(connection: Connection, outcomes: Sequence[Answered]) -> set[UUID]:
    malformed: dict[tuple[WorkspaceId, UUID], list[str]] = {}
    for outcome in outcomes:
        if isinstance(outcome.verdict.outcome, BadMessage) and outcome.verdict.outcome.malformed:
            words = [
                outcome.route.provider.value,
                str(outcome.verdict.status),
                outcome.verdict.reason,
            ]
            malformed.setdefault((outcome.route.workspace_id, outcome.push.message_id), []).append(
                " ".join(words).strip()
            )
    if not malformed:
        return set()
    counted = [(*message, len(said), f"malformed: {said[0]}") for message, said in malformed.items()]
    stopped = await messages.count_malformed(connection, counted)
    whose = {message_id: workspace for workspace, message_id in malformed}
    for message_id, reason in stopped:
        log.warning("message_stopped", message_id=str(message_id), reason=reason)
        by, workspace = job("guard"), whose[message_id]
        await write_with(connection, by, "message.stop", workspace, f"message {message_id}", reason)
    return {message_id for message_id, _ in stopped}


async def _write_routes(connection: Connection, slice_: Slice, outcomes: Sequence[PushResult]) -> None:
    """Changes by the lanes: a route that accepted a push is verified, and its rejections on hold are applied."""
    for pause in slice_.pauses:
        stopped = await routes.pause(
            connection,
            pause.route,
            whole=pause.whole,
            kind=pause.kind,
            reason=pause.reason,
            probe_after_s=pause.probe_after_s,
        )
        if stopped:
            log.warning("route_paused", route=pause.route.name, whole=pause.whole, reason=pause.reason)
            workspace, name = pause.route.workspace_id, pause.route.name
            await write_with(connection, job(pause.kind.value), "route.pause", workspace, name, pause.reason)
    for rest in slice_.rests:
        await routes.throttle(
            connection,
            rest.route,
            whole=rest.whole,
            rest_s=rest.rest_s,
            slowed_to_per_s=rest.slowed_to_per_s,
        )
        log.warning("route_throttled", route=rest.route.name, rest_s=rest.rest_s, per_s=rest.slowed_to_per_s)
    for alarm in slice_.alarms:
        await routes.alert(connection, alarm.route, alarm.reason, alarm.text, alarm.detail)
    proved = {
        outcome.route.key
        for outcome in outcomes
        if isinstance(outcome, Answered)
        and outcome.route.accepted_at is None
        and isinstance(outcome.verdict.outcome, Accepted)
        and not outcome.verdict.outcome.dry_run
    }
    if proved:
        await routes.mark_accepted(connection, sorted(proved))
        while await held_refusals.apply(connection, sorted(proved), (held_refusals.UNPROVEN,)):
            pass


async def _write_held(connection: Connection, outcomes: Sequence[PushResult]) -> None:
    held = [verdict for outcome in outcomes if (verdict := held_verdict(outcome)) is not None]
    if held:
        await held_refusals.hold(connection, held)


async def _write_batches(connection: Connection, outcomes: Sequence[PushResult], requeued: set[int]) -> None:
    """Remove settled devices from the queue.

    A remaining batch is left unchanged, as a later claim skips pushes that have their row; only devices that are in
    another batch by now have to leave this one.
    """
    done: dict[int, tuple[Work, set[DeviceId]]] = {}
    for outcome in outcomes:
        done.setdefault(outcome.work.batch.claim.batch_id, (outcome.work, set()))[1].add(outcome.device_id)
    finished = []
    for batch_id, (work, settled) in done.items():
        if len(settled) == len(work.unsettled):
            finished.append(work.batch.claim)
        elif batch_id in requeued:
            left = [(device, person) for device, person in work.unsettled.items() if device not in settled]
            await queue.shrink(connection, work.batch.claim, left)
    if finished:
        await queue.delete(connection, finished)
