"""Settle, the last stage: results of pushes are gathered, and written in slices, each in one transaction."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.store.db import commits, driver_errors
from pushkeeper.worker.alert_throttle import AlertThrottle
from pushkeeper.worker.results import Answered, NotSent, PushResult, SetAside, Slice, guarded, unrecordable
from pushkeeper.worker.slices import Attempt, write
from pushkeeper.worker.tasks import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from pushkeeper.store.db.database import Database
    from pushkeeper.worker.in_hand import InHand
    from pushkeeper.worker.lanes import Lanes
    from pushkeeper.worker.metrics import WorkerMetrics
    from pushkeeper.worker.result_queue import ResultQueue

log = logger("settle")

NAME = "settle"
SLICE_S = 0.2
SLICE_SIZE = 1_000
ASIDE_S = 60.0
CLOSES_WITHIN_S = 5.0


class SettleStage:
    """Takes results; owns unwritten results, and unwritten changes of the lanes.

    It writes in slices: every 200 ms, and up to 1,000 results in one. Each result stays in the queue until it is written.

    A slice that the database can't take now is retried after a pause, with half as many results: on a server with a
    statement timeout, the smaller slice may pass. A rejected slice is halved too, until the result at fault is alone.
    One whose values cannot be stored becomes a record without its texts; with any other error it is put aside and
    retried later, as the server may be at fault.

    If a connection is lost, the slice may have been committed. The server is asked before anything else is written.
    """

    def __init__(
        self, database: Database, lanes: Lanes, in_hand: InHand, results: ResultQueue, metrics: WorkerMetrics
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._in_hand = in_hand
        self._results = results
        self._metrics = metrics
        self._alarms = AlertThrottle()
        self._backoff = Backoff(NAME, metrics)
        self._unsaid = Slice(outcomes=())  # what the lanes had to say, and is not written yet
        self._refused = False  # something in the last slice was
        self._size = SLICE_SIZE
        self._in_doubt: Attempt | None = None
        self._cautious = False  # some that wait may have been written, and nobody knows
        self._stopped: set[UUID] = set()  # messages, by what was written
        self._give_up_at: float | None = None  # set while closing

    @property
    def waits(self) -> bool:
        """Whether results could not be written at the last attempt: nothing more is claimed meanwhile."""
        return self._backoff.failures > 0 and bool(self._results)

    def close(self) -> None:
        """Let `slices` end once all results are written; the database has five seconds to take them."""
        self._give_up_at = time.monotonic() + CLOSES_WITHIN_S
        self._results.close()

    async def slices(self) -> AsyncIterator[set[UUID]]:
        """Write slices until closed; after each attempt, the messages that stop by what their providers said."""
        while self._give_up_at is None or self._results:
            await self._results.wait()
            if len(self._results) < SLICE_SIZE and self._give_up_at is None:
                await asyncio.sleep(SLICE_S)
            while self._results:
                await self._write_some()
                stopped, self._stopped = self._stopped, set()
                yield stopped

    async def _write_some(self) -> None:
        """Try to write the results that have waited longest."""
        if self._in_doubt is not None and not await self._has_learned(self._in_doubt):
            return
        outcomes = self._results.oldest(self._size)
        slice_ = self._unsaid.followed_by(self._slice(outcomes))
        self._unsaid = replace(slice_, outcomes=())
        if self._refused:
            slice_ = Slice(outcomes=slice_.outcomes)
        attempt = Attempt(slice_, self._metrics, cautious=self._cautious)
        with isolated() as tried:
            await attempt.write(self._database)
        match tried.error:
            case None:
                if not self._refused:
                    self._unsaid = Slice(outcomes=())
                self._take_off(outcomes, attempt.stopped)
            case Unreachable() as error:
                if attempt.transaction is not None:
                    self._in_doubt = attempt
                self._size = max(len(outcomes) // 2, 1)
                await self._pause(error)
            case error:
                await self._single_out(slice_.outcomes, error)

    def _slice(self, outcomes: Sequence[PushResult]) -> Slice:
        """Results in the light of all that is known by now, with what the lanes have to say."""
        pauses, rests, alarms = self._lanes.take_changes()
        results = self._lanes.take_results()
        self._metrics.count_results(results)
        return Slice(
            outcomes=[guarded(outcome) if self._is_guarded(outcome) else outcome for outcome in outcomes],
            pauses=pauses,
            rests=rests,
            alarms=self._alarms.new(alarms),
            results=results,
        )

    def _is_guarded(self, outcome: PushResult) -> bool:
        return isinstance(outcome, Answered) and self._lanes[outcome.route.route_id].guarded

    async def _has_learned(self, attempt: Attempt) -> bool:
        """Whether the result of an attempt with a lost response is known now.

        A committed slice is written again, which changes nothing: a crash may have lost the transaction, and another
        one have its number. Changes of routes are not.
        """
        assert attempt.transaction is not None  # noqa: S101 - there is no doubt without
        with isolated() as tried:
            ending = await commits.ending(self._database, attempt.transaction)
        if tried.error is not None:
            await self._pause(tried.error)
            return False
        self._in_doubt = None
        self._cautious |= ending is not commits.Ending.ABORTED
        if ending is commits.Ending.COMMITTED:
            log.info("slice_was_committed")
            self._stopped |= attempt.stopped
            self._in_hand.remove_settled()
            if not self._refused:
                self._unsaid = Slice(outcomes=())
        return True

    def _take_off(self, outcomes: Sequence[PushResult], stopped: set[UUID]) -> None:
        """These are written."""
        self._backoff.succeeded()
        self._refused = False
        self._size = min(2 * self._size, SLICE_SIZE)
        self._stopped |= stopped
        self._release(outcomes)
        self._cautious &= bool(self._results)

    def _release(self, outcomes: Sequence[PushResult]) -> None:
        """The oldest results, these, are over for this worker."""
        self._results.remove_oldest(len(outcomes))
        for outcome in outcomes:
            if isinstance(outcome, Answered):
                self._lanes.settled(outcome.route.route_id)
        self._in_hand.remove_settled()

    async def _pause(self, error: Exception) -> None:
        """Pause before the next attempt; while closing, only briefly.

        What is dropped then was not acknowledged to anybody: its batch returns with its lease, and is sent again.
        """
        pause_s = self._backoff.failed(error)
        if self._give_up_at is None or time.monotonic() + pause_s < self._give_up_at:
            await asyncio.sleep(pause_s)
            return
        log.warning("outcomes_given_up", outcomes=len(self._results))
        self._in_doubt = None
        self._release(self._results.oldest(len(self._results)))

    async def _single_out(self, outcomes: Sequence[PushResult], error: Exception) -> None:
        """Something in a slice is rejected: halves are tried, until the result at fault is alone."""
        self._refused = True
        if self._unsaid.has_changes:
            await self._write_changes()
        if len(outcomes) > 1:
            log.warning("slice_refused", outcomes=len(outcomes), error=type(error).__name__)
            self._size = len(outcomes) // 2
        elif driver_errors.refuses_values(error) and not isinstance(outcomes[0], NotSent):
            await self._write_without_its_words(outcomes[0], error)
        else:
            await self._put_aside(error)

    async def _write_changes(self) -> None:
        """Write what the lanes had to say by itself; what is refused of it is left out, as they will say it again."""
        try:
            with isolated(log, "news_of_routes_refused", passing=Unreachable):
                await write(self._database, self._unsaid, self._metrics)
        except Unreachable as error:
            await self._pause(error)
            return
        self._unsaid = Slice(outcomes=())

    async def _write_without_its_words(self, outcome: Answered | SetAside, error: Exception) -> None:
        log.error("outcome_refused", exc_info=error)
        stopped: set[UUID] = set()
        with isolated() as tried:
            stopped = await write(self._database, Slice(outcomes=[unrecordable(outcome)]), self._metrics)
        match tried.error:
            case None:
                self._take_off([outcome], stopped)
            case Unreachable() as not_now:
                await self._pause(not_now)
            case again:
                await self._put_aside(again)

    async def _put_aside(self, error: Exception) -> None:
        """Keep the first fact for later, with its claim, so that it does not hold up the others.

        Where not one of the others can be written either, each comes here in turn, and nothing is claimed meanwhile.
        """
        aside = self._results.oldest(1)
        self._results.remove_oldest(1)
        await self._pause(error)
        asyncio.get_running_loop().call_later(ASIDE_S, self._results.put, aside)
