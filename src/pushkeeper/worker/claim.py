"""Claim, the first stage: takes batches that are due off the queue, as many as there is room for, and keeps their leases."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.observability.logs import logger
from pushkeeper.store.delivery import queue

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.delivery.queue import ClaimedBatch
    from pushkeeper.worker.in_hand import InHand
    from pushkeeper.worker.lanes import Lanes
    from pushkeeper.worker.metrics import WorkerMetrics

log = logger("worker")

# So much of it is kept for what is urgent: a broadcast never has all of the worker.
KEPT_FOR_URGENT = 500
IDLE_S = 5.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """The result of a claim: batches, with every device as of `read_at` (monotonic seconds), or later."""

    batches: Sequence[ClaimedBatch]
    read_at: float


class ClaimStage:
    """Takes nothing; gives on claimed batches; owns when to claim, and the leases of what is in hand.

    Attributes:
        wake: there may be work, or room for it.
    """

    def __init__(
        self,
        database: Database,
        lanes: Lanes,
        in_hand: InHand,
        metrics: WorkerMetrics,
        *,
        max_unsettled: int,
        lease_s: float,
    ) -> None:
        self.wake = asyncio.Event()
        self._database = database
        self._lanes = lanes
        self._in_hand = in_hand
        self._metrics = metrics
        self._max_unsettled = max_unsettled
        self._lease_s = lease_s

    async def claim(self) -> Claimed | None:
        """Claim what there is room for, beside what is in hand already; None without due batches."""
        devices = self._max_unsettled - self._in_hand.unsettled
        if devices <= 0:
            return None
        room = queue.ClaimLimits(
            devices=devices,
            not_urgent=max(devices - KEPT_FOR_URGENT, 0),
            lanes=self._lanes.rooms(time.monotonic()),
        )
        began = time.monotonic()
        claimed = await queue.claim(self._database, room=room, lease_s=self._lease_s)
        self._metrics.claimed(claimed, took_s=time.monotonic() - began, now=datetime.now(UTC))
        if not claimed:
            return None
        return Claimed([batch for batch in claimed if not self._in_hand.claimed_again(batch)], began)

    async def wait(self) -> None:
        """Until there is news, room, or something is due."""
        if self._in_hand.unsettled + KEPT_FOR_URGENT >= self._max_unsettled:
            # Due batches may be a broadcast, for which there is no room; urgent ones notify.
            await self.pause(1.0)
            return
        now = time.monotonic()
        closed = [route for route, room in self._lanes.rooms(now).items() if not room]
        due_s = await queue.next_due_s(self._database, closed=closed)
        opens_s = self._lanes.opens_in_s(now) if closed else None
        await self.pause(min((s for s in (due_s, opens_s) if s is not None), default=IDLE_S))

    async def pause(self, seconds: float) -> None:
        """For so long, or until there is news."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(seconds, 0.01), IDLE_S)):
                await self.wake.wait()

    async def renew(self) -> set[int]:
        """Keep what is in hand for another lease; returns the batches that others have by now."""
        claims = self._in_hand.claims
        if not claims:
            return set()
        lost = claims.keys() - await queue.renew(self._database, claims.values(), lease_s=self._lease_s)
        if lost:
            log.warning("claims_lost", batches=sorted(lost))
        return lost

    async def give_back(self, batches: Collection[ClaimedBatch]) -> None:
        """Let anybody claim these at once: nothing of them has left."""
        await queue.release(self._database, [batch.claim for batch in batches])

    async def give_back_all(self) -> None:
        """The same for all that is still in hand."""
        await queue.release(self._database, self._in_hand.claims.values())
