"""Settle: what came of pushes is gathered, and written in slices, each in one transaction."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING

from pushkeeper.core.outcome import Accepted, BadMessage
from pushkeeper.core.retry import ACCEPTED
from pushkeeper.errors import Unreachable
from pushkeeper.store import acceptances, batches, devices, messages, pushes, routes, verdicts, webhooks
from pushkeeper.telemetry import logger
from pushkeeper.worker.facts import (
    Answered,
    Fact,
    NotSent,
    Slice,
    acceptance,
    failed_attempt,
    held_verdict,
    push_row,
    requeues,
    settlement,
    unrecordable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from pushkeeper.core.model import DeviceId, WorkspaceId
    from pushkeeper.store.acceptances import Acceptance
    from pushkeeper.store.database import Connection, Database
    from pushkeeper.worker.facts import Work
    from pushkeeper.worker.figures import Figures

log = logger("settle")

SLICE_S = 0.2
SLICE_SIZE = 1_000


class Settler:
    """Writes facts in slices: every 200 ms, and up to 1,000 in one."""

    def __init__(
        self,
        database: Database,
        *,
        review: Callable[[Sequence[Fact]], Slice],
        on_written: Callable[[Sequence[Fact], set[UUID]], None],
        figures: Figures,
    ) -> None:
        """`review` says, just before facts are written, what they are in the light of all that is known by then.

        `on_written` hears whenever facts were taken off the worker's hands, written or given up with their claim, and
        which messages stop by them.
        """
        self._database = database
        self._review = review
        self._on_written = on_written
        self._figures = figures
        self._waiting: list[Fact] = []
        self._wake = asyncio.Event()
        self._closing = False
        self.waits = False  # for the database, with facts that it does not take now

    def add(self, facts: Sequence[Fact]) -> None:
        self._waiting.extend(facts)
        if self._waiting:
            self._wake.set()

    def close(self) -> None:
        """Let `run` end once all that was added is written."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Write slices until closed."""
        while not (self._closing and not self._waiting):
            await self._wake.wait()
            if len(self._waiting) < SLICE_SIZE and not self._closing:
                await asyncio.sleep(SLICE_S)
            self._wake.clear()
            while self._waiting:
                facts, self._waiting = self._waiting[:SLICE_SIZE], self._waiting[SLICE_SIZE:]
                stopped = await self._write_until_it_is(self._review(facts))
                self._on_written(facts, stopped)

    async def _write_until_it_is(self, slice_: Slice) -> set[UUID]:
        """A database that is away does not lose outcomes: they wait for it, until we are told to end.

        What is given up then was not acknowledged to anybody: its batch comes back with its lease, and is sent again.
        """
        wait_s = 0.1
        while True:
            try:
                stopped = await write(self._database, slice_, self._figures)
            except Unreachable as error:
                self.waits = True
                log.warning("settle_waits_for_the_database", error=error.message, facts=len(slice_.facts))
                if self._closing:
                    return set()
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 2.0)
            except Exception:
                log.exception("settle_error", facts=len(slice_.facts))
                self.waits = False
                return await self._write_apart(slice_)
            else:
                self.waits = False
                return stopped

    async def _write_apart(self, slice_: Slice) -> set[UUID]:
        """Something in the slice cannot be written: halves are tried, until it stands alone and is told without its words.

        What the lanes had to say is left out, as they will say it again.
        """
        facts = slice_.facts
        if len(facts) > 1:
            middle = len(facts) // 2
            halves = (Slice(facts=facts[:middle]), Slice(facts=facts[middle:]))
            return (await self._write_until_it_is(halves[0])) | (await self._write_until_it_is(halves[1]))
        for fact in facts:
            if not isinstance(fact, NotSent):
                return await self._write_until_it_is(Slice(facts=[unrecordable(fact)]))
            fact.work.unsettled.clear()  # it comes back with its lease, and others are not held up
        return set()


async def write(database: Database, slice_: Slice, figures: Figures) -> set[UUID]:
    """Write a slice: routes first, then pushes, statuses with their history, what waits, and the batches left over.

    Facts of a batch whose claim was lost are dropped: whoever has the claim now settles it. Returns the messages that
    stop by what their devices' providers said.
    """
    began_at = perf_counter()
    by_batch: dict[int, list[Fact]] = {}
    for fact in slice_.facts:
        by_batch.setdefault(fact.work.batch.claim.batch_id, []).append(fact)

    async def work(connection: Connection) -> tuple[list[Fact], set[UUID]]:
        claims = [group[0].work.batch.claim for group in by_batch.values()]
        ours = await batches.still_claimed(connection, claims)
        mine = [fact for batch_id in ours for fact in by_batch[batch_id]]
        await _write_routes(connection, slice_, mine)
        stopped = await _write_pushes(connection, mine)
        await _write_held(connection, mine)
        failed = [attempt for fact in mine if (attempt := failed_attempt(fact)) is not None]
        if failed:
            await webhooks.tell_of_attempts(connection, failed)
        again = requeues(mine, datetime.now(UTC))
        for new in again:
            await batches.requeue(connection, new)
        await _write_batches(connection, mine, {new.batch.claim.batch_id for new in again})
        # Last: all workers write to these rows, and the lock ends with the commit.
        await routes.count(connection, slice_.results)
        return mine, stopped

    written, stopped = await database.in_transaction(work)
    figures.settled(written, took_s=perf_counter() - began_at)
    for fact in written:
        fact.work.unsettled.pop(fact.device_id, None)
    for batch_id in set(by_batch) - {fact.work.batch.claim.batch_id for fact in written}:
        by_batch[batch_id][0].work.unsettled.clear()
    return stopped


async def _write_pushes(connection: Connection, facts: Sequence[Fact]) -> set[UUID]:
    """The rows of pushes, and what becomes of their devices; returns the messages that stop by it."""
    # A device that hears something else too, in the same slice, hears all of it in order.
    mixed = {fact.device_id for fact in facts if isinstance(fact, Answered) and fact.decision != ACCEPTED}
    accepted: list[Acceptance] = []
    others: list[Fact] = []
    for fact in facts:
        taken = acceptance(fact)
        if taken is None or fact.device_id in mixed:
            others.append(fact)
        else:
            accepted.append(taken)
    left = await acceptances.settle(connection, accepted) if accepted else set()
    new = await pushes.insert(connection, [row for fact in others if (row := push_row(fact)) is not None])
    concerned = left | new
    heard = [
        fact
        for fact in facts
        if concerned and isinstance(fact, Answered) and (fact.push.message_id, fact.device_id) in concerned
    ]
    settlements = [done for fact in heard if (done := settlement(fact)) is not None]
    if settlements:
        await devices.settle(connection, settlements)
    return await _stop_malformed(connection, heard)


async def _stop_malformed(connection: Connection, facts: Sequence[Answered]) -> set[UUID]:
    malformed: dict[tuple[WorkspaceId, UUID], list[str]] = {}
    for fact in facts:
        if isinstance(fact.verdict.outcome, BadMessage) and fact.verdict.outcome.malformed:
            words = [fact.route.provider.value, str(fact.verdict.status), fact.verdict.reason]
            malformed.setdefault((fact.route.workspace_id, fact.push.message_id), []).append(
                " ".join(words).strip()
            )
    if not malformed:
        return set()
    counted = [(*message, len(said), f"malformed: {said[0]}") for message, said in malformed.items()]
    stopped = await messages.count_malformed(connection, counted)
    for message_id, reason in stopped:
        log.warning("message_stopped", message_id=str(message_id), reason=reason)
    return {message_id for message_id, _ in stopped}


async def _write_routes(connection: Connection, slice_: Slice, facts: Sequence[Fact]) -> None:
    """What the lanes learned: a route that took a push has proved itself, and what was held until then is believed."""
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
        fact.route.key
        for fact in facts
        if isinstance(fact, Answered)
        and fact.route.accepted_at is None
        and isinstance(fact.verdict.outcome, Accepted)
        and not fact.verdict.outcome.dry_run
    }
    if proved:
        await routes.mark_accepted(connection, sorted(proved))
        while await verdicts.apply(connection, sorted(proved), (verdicts.UNPROVEN,)):
            pass


async def _write_held(connection: Connection, facts: Sequence[Fact]) -> None:
    held = [verdict for fact in facts if (verdict := held_verdict(fact)) is not None]
    if held:
        await verdicts.hold(connection, held)


async def _write_batches(connection: Connection, facts: Sequence[Fact], requeued: set[int]) -> None:
    """Take what is settled off the queue.

    A batch that goes on is left as it is, as whoever might claim it again passes over pushes that have their row; only
    devices that wait in another batch by now have to leave this one.
    """
    done: dict[int, tuple[Work, set[DeviceId]]] = {}
    for fact in facts:
        done.setdefault(fact.work.batch.claim.batch_id, (fact.work, set()))[1].add(fact.device_id)
    finished = []
    for batch_id, (work, settled) in done.items():
        if len(settled) == len(work.unsettled):
            finished.append(work.batch.claim)
        elif batch_id in requeued:
            left = [(device, person) for device, person in work.unsettled.items() if device not in settled]
            await batches.shrink(connection, work.batch.claim, left)
    if finished:
        await batches.delete(connection, finished)
