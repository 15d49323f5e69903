"""Settle: what came of pushes is gathered, and written in slices, each in one transaction."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING

from pushkeeper.core.actor import job
from pushkeeper.core.delivery.outcome import Accepted, BadMessage
from pushkeeper.core.delivery.retry import ACCEPTED
from pushkeeper.errors import Unreachable
from pushkeeper.observability.logs import logger
from pushkeeper.services.audit import write_with
from pushkeeper.store import webhooks
from pushkeeper.store.db import driver_errors
from pushkeeper.store.delivery import accepted_pushes, held_refusals, pushes, queue, routes
from pushkeeper.store.devices import devices
from pushkeeper.store.messages import messages
from pushkeeper.worker.results import (
    Answered,
    Fact,
    NotSent,
    SetAside,
    Slice,
    acceptance,
    failed_attempt,
    held_verdict,
    push_row,
    requeues,
    settlement,
    unrecordable,
)
from pushkeeper.worker.tasks import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from pushkeeper.core.model import DeviceId, WorkspaceId
    from pushkeeper.store.db.database import Connection, Database
    from pushkeeper.store.delivery.accepted_pushes import Acceptance
    from pushkeeper.worker.metrics import Figures
    from pushkeeper.worker.results import Work

log = logger("settle")

NAME = "settle"
SLICE_S = 0.2
SLICE_SIZE = 1_000
ASIDE_S = 60.0
CLOSES_WITHIN_S = 5.0


class Settler:
    """Writes facts in slices: every 200 ms, and up to 1,000 in one. Each fact stays here until it is written.

    A slice that the database does not take now is tried again after a pause, with half as many facts: on a server that
    cancels what takes long, the smaller slice may pass. A slice of which something is refused is halved too, until the fact
    that is at fault stands alone. One whose own values cannot be stored becomes a record without its words; with any other
    error it is put aside and tried again later, as that may be nobody's fault but the server's.
    """

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
        self._backoff = Backoff(NAME, figures)
        self._waiting: list[Fact] = []
        self._unsaid = Slice(facts=())  # what the lanes had to say, and is not written yet
        self._refused = False  # something in the last slice was
        self._size = SLICE_SIZE
        self._wake = asyncio.Event()
        self._give_up_at: float | None = None  # set while closing

    @property
    def waits(self) -> bool:
        """Whether there are facts that could not be written at the last attempt: nothing more is to be claimed now."""
        return self._backoff.failures > 0 and bool(self._waiting)

    def add(self, facts: Sequence[Fact]) -> None:
        self._waiting.extend(facts)
        if self._waiting:
            self._wake.set()

    def close(self) -> None:
        """Let `run` end once all that was added is written; the database has five seconds to take it."""
        self._give_up_at = time.monotonic() + CLOSES_WITHIN_S
        self._wake.set()

    async def run(self) -> None:
        """Write slices until closed."""
        self.add(())  # after a failure of this very task, what is left
        while self._give_up_at is None or self._waiting:
            await self._wake.wait()
            if len(self._waiting) < SLICE_SIZE and self._give_up_at is None:
                await asyncio.sleep(SLICE_S)
            self._wake.clear()
            while self._waiting:
                await self._write_some()

    async def _write_some(self) -> None:
        """Try to write the facts that have waited longest."""
        facts = self._waiting[: self._size]
        slice_ = self._unsaid.followed_by(self._review(facts))
        self._unsaid = replace(slice_, facts=())
        if self._refused:
            slice_ = Slice(facts=slice_.facts)
        try:
            stopped = await write(self._database, slice_, self._figures)
        except Unreachable as error:
            self._size = max(len(facts) // 2, 1)
            await self._pause(error)
        except Exception as error:  # noqa: BLE001 - logged where the fact that is at fault stands alone
            await self._single_out(slice_.facts, error)
        else:
            if not self._refused:
                self._unsaid = Slice(facts=())
            self._take_off(facts, stopped)

    def _take_off(self, facts: Sequence[Fact], stopped: set[UUID]) -> None:
        """These are written."""
        self._backoff.succeeded()
        self._refused = False
        self._size = min(2 * self._size, SLICE_SIZE)
        del self._waiting[: len(facts)]
        self._on_written(facts, stopped)

    async def _pause(self, error: Exception) -> None:
        """Let some time pass before the next attempt; while closing, not for long.

        What is given up then was not acknowledged to anybody: its batch comes back with its lease, and is sent again.
        """
        pause_s = self._backoff.failed(error)
        if self._give_up_at is None or time.monotonic() + pause_s < self._give_up_at:
            await asyncio.sleep(pause_s)
            return
        log.warning("outcomes_given_up", facts=len(self._waiting))
        facts, self._waiting = self._waiting, []
        self._on_written(facts, set())

    async def _single_out(self, facts: Sequence[Fact], error: Exception) -> None:
        """Something in a slice is refused: halves are tried, until the fact that is at fault stands alone."""
        self._refused = True
        if self._unsaid.has_news:
            await self._write_news()
        if len(facts) > 1:
            log.warning("slice_refused", facts=len(facts), error=type(error).__name__)
            self._size = len(facts) // 2
        elif driver_errors.refuses_values(error) and not isinstance(facts[0], NotSent):
            await self._write_without_its_words(facts[0], error)
        else:
            await self._put_aside(error)

    async def _write_news(self) -> None:
        """Write what the lanes had to say by itself; what is refused of it is left out, as they will say it again."""
        try:
            await write(self._database, self._unsaid, self._figures)
        except Unreachable as error:
            await self._pause(error)
            return
        except Exception:
            log.exception("news_of_routes_refused")
        self._unsaid = Slice(facts=())

    async def _write_without_its_words(self, fact: Answered | SetAside, error: Exception) -> None:
        log.error("outcome_refused", exc_info=error)
        try:
            stopped = await write(self._database, Slice(facts=[unrecordable(fact)]), self._figures)
        except Unreachable as not_now:
            await self._pause(not_now)
        except Exception as again:  # noqa: BLE001 - logged there
            await self._put_aside(again)
        else:
            self._take_off([fact], stopped)

    async def _put_aside(self, error: Exception) -> None:
        """Keep the first fact for later, with its claim, so that it does not hold up the others.

        Where not one of the others can be written either, each comes here in turn, and nothing is claimed meanwhile.
        """
        fact = self._waiting.pop(0)
        await self._pause(error)
        asyncio.get_running_loop().call_later(ASIDE_S, self.add, [fact])


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
        ours = await queue.still_claimed(connection, claims)
        mine = [fact for batch_id in ours for fact in by_batch[batch_id]]
        await _write_routes(connection, slice_, mine)
        stopped = await _write_pushes(connection, mine)
        await _write_held(connection, mine)
        failed = [attempt for fact in mine if (attempt := failed_attempt(fact)) is not None]
        if failed:
            await webhooks.tell_of_attempts(connection, failed)
        again = requeues(mine, datetime.now(UTC))
        for new in again:
            await queue.requeue(connection, new)
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
    left = await accepted_pushes.settle(connection, accepted) if accepted else set()
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
    whose = {message_id: workspace for workspace, message_id in malformed}
    for message_id, reason in stopped:
        log.warning("message_stopped", message_id=str(message_id), reason=reason)
        by, workspace = job("guard"), whose[message_id]
        await write_with(connection, by, "message.stop", workspace, f"message {message_id}", reason)
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
        fact.route.key
        for fact in facts
        if isinstance(fact, Answered)
        and fact.route.accepted_at is None
        and isinstance(fact.verdict.outcome, Accepted)
        and not fact.verdict.outcome.dry_run
    }
    if proved:
        await routes.mark_accepted(connection, sorted(proved))
        while await held_refusals.apply(connection, sorted(proved), (held_refusals.UNPROVEN,)):
            pass


async def _write_held(connection: Connection, facts: Sequence[Fact]) -> None:
    held = [verdict for fact in facts if (verdict := held_verdict(fact)) is not None]
    if held:
        await held_refusals.hold(connection, held)


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
            await queue.shrink(connection, work.batch.claim, left)
    if finished:
        await queue.delete(connection, finished)
