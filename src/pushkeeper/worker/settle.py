"""Settle: what came of pushes is gathered, and written in slices, each in one transaction."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pushkeeper.errors import Unreachable
from pushkeeper.observability.logs import logger
from pushkeeper.store.db import commits, driver_errors
from pushkeeper.worker.results import (
    Answered,
    Fact,
    NotSent,
    SetAside,
    Slice,
    unrecordable,
)
from pushkeeper.worker.slices import Attempt, write
from pushkeeper.worker.tasks import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from pushkeeper.store.db.database import Database
    from pushkeeper.worker.metrics import Figures

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

    Where a connection is lost the slice may have been committed. The server is asked, before anything else is written.
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
        self._in_doubt: Attempt | None = None
        self._cautious = False  # some that wait may have been written, and nobody knows
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
        if self._in_doubt is not None and not await self._has_learned(self._in_doubt):
            return
        facts = self._waiting[: self._size]
        slice_ = self._unsaid.followed_by(self._review(facts))
        self._unsaid = replace(slice_, facts=())
        if self._refused:
            slice_ = Slice(facts=slice_.facts)
        attempt = Attempt(slice_, self._figures, cautious=self._cautious)
        try:
            stopped = await attempt.write(self._database)
        except Unreachable as error:
            if attempt.transaction is not None:
                self._in_doubt = attempt
            self._size = max(len(facts) // 2, 1)
            await self._pause(error)
        except Exception as error:  # noqa: BLE001 - logged where the fact that is at fault stands alone
            await self._single_out(slice_.facts, error)
        else:
            if not self._refused:
                self._unsaid = Slice(facts=())
            self._take_off(facts, stopped)

    async def _has_learned(self, attempt: Attempt) -> bool:
        """Whether it is known now what became of an attempt of which the answer was lost.

        What was committed is written once more, which changes nothing: a crash may have taken the transaction, and another
        one have its number. What was told of routes is not.
        """
        assert attempt.transaction is not None  # noqa: S101 - there is no doubt without
        try:
            ending = await commits.ending(self._database, attempt.transaction)
        except Exception as error:  # noqa: BLE001 - logged there
            await self._pause(error)
            return False
        self._in_doubt = None
        self._cautious |= ending is not commits.Ending.ABORTED
        if ending is commits.Ending.COMMITTED:
            log.info("slice_was_committed")
            self._on_written((), attempt.stopped)
            if not self._refused:
                self._unsaid = Slice(facts=())
        return True

    def _take_off(self, facts: Sequence[Fact], stopped: set[UUID]) -> None:
        """These are written."""
        self._backoff.succeeded()
        self._refused = False
        self._size = min(2 * self._size, SLICE_SIZE)
        del self._waiting[: len(facts)]
        self._cautious &= bool(self._waiting)
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
        facts, self._waiting, self._in_doubt = self._waiting, [], None
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
