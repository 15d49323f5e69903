"""Jobs: claims items fairly by workspace, runs each in its own task, and saves the results.

An error costs its item alone: it is retried later, and fails with its reason after some attempts.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from pushkeeper.core import job_retry
from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.store import jobs
from pushkeeper.store.jobs import ClaimLost
from pushkeeper.worker.jobs import failures
from pushkeeper.worker.metrics import WorkerMetrics
from pushkeeper.worker.tasks import until_done

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.jobs import Claim, JobKind

log = logger("jobs")

LEASE_S = 15.0
_SOONEST_S = 0.05
_BUSY_S = 2.0  # how long an item waits for a database that doesn't answer


class Work(Protocol):
    """How items of one kind are worked at."""

    kind: JobKind

    async def do(self, claim: Claim) -> None:
        """Do the item, or the next piece of it."""

    async def aclose(self) -> None:
        """Let go of what is held."""


class Jobs:
    """A periodic task: polls for items of one kind, and reacts to notifications."""

    def __init__(
        self,
        database: Database,
        work: Work,
        metrics: WorkerMetrics | None = None,
        *,
        lease_s: float = LEASE_S,
    ) -> None:
        self._database = database
        self._work = work
        self._kind = work.kind
        self.name = self._kind.name
        self.look_every_s = self._kind.look_s
        self.channel = self._kind.channel
        self._lease_s = lease_s
        self._metrics = metrics or WorkerMetrics()
        self._running: set[asyncio.Task[None]] = set()  # those that take up room
        self._tasks: set[asyncio.Task[None]] = set()  # all, until they have looked for what comes next
        self._claiming = asyncio.Lock()

    async def look(self) -> None:
        """Begin what is due, as far as there is room; whatever ends looks again."""
        async with self._claiming:
            if room := self._kind.at_once - len(self._running):
                for claim in await jobs.claim(self._database, self._kind, most=room, lease_s=self._lease_s):
                    task = asyncio.create_task(self._take(claim))
                    for tasks in (self._running, self._tasks):
                        tasks.add(task)
                        task.add_done_callback(tasks.discard)
            next_s = await jobs.next_due_s(self._database, self._kind)
        usual_s = self._kind.look_s
        self.look_every_s = usual_s if next_s is None else min(max(next_s, _SOONEST_S), usual_s)

    async def finish(self) -> None:
        """Do all that is due, to the end."""
        await self.look()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        """Give back what is under way, which costs it no attempt."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._work.aclose()

    async def _take(self, claim: Claim) -> None:
        # The next look comes by itself, and the lease of what is not settled ends by itself.
        with isolated(log, "jobs_error", kind=self._kind.name):
            await self._settle(claim, await self._outcome(claim))
            # The room of this one is free for what comes next.
            self._running.discard(asyncio.current_task())
            await self.look()

    async def _outcome(self, claim: Claim) -> BaseException | None:
        """What the item raised, if it did; cancelled, it is given back."""
        if claim.attempts > self._kind.most_attempts:
            return failures.TryAgain("the worker that had it ended each time before it was done")
        working = asyncio.create_task(self._work.do(claim))
        keeping = asyncio.create_task(self._keep(claim, working.cancel))
        try:
            await asyncio.wait([working])
        except asyncio.CancelledError:
            working.cancel()
            await asyncio.wait([working])
            with suppress(Unreachable):
                await jobs.give_back(self._database, self._kind, claim, wait_s=0.0)
            raise
        finally:
            keeping.cancel()
        return ClaimLost() if working.cancelled() else working.exception()

    async def _keep(self, claim: Claim, lost: Callable[[], object]) -> None:
        """Renew the lease while the item is running."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            kept = True
            with isolated(log, "lease_not_renewed", kind=self._kind.name):
                kept = await jobs.renew(self._database, self._kind, claim, lease_s=self._lease_s)
            if not kept:
                lost()
                return

    async def _settle(self, claim: Claim, error: BaseException | None) -> None:
        """Save the result as soon as the database responds; if the claim is lost by then, nothing is written."""
        at = self._database, self._kind, claim
        facts = {"kind": self._kind.name, "workspace": claim.workspace_id, "item": claim.item_id}
        unexpected = None if error is None or failures.is_expected(error) else error  # is worth its traceback
        match error:
            case None:
                self._metrics.worked(self._kind.name, "done")
                await until_done(lambda: jobs.finish(*at))
            case ClaimLost():
                pass
            case Unreachable():
                log.warning("job_waits_for_the_database", **facts, error=error.message)
                self._metrics.worked(self._kind.name, "given_back")
                await until_done(lambda: jobs.give_back(*at, wait_s=_BUSY_S))
            case _:
                why = failures.reason(error)
                last = failures.is_final(error) or claim.attempts >= self._kind.most_attempts
                self._metrics.worked(self._kind.name, "failed" if last else "put_off")
                facts |= {"attempts": claim.attempts, "reason": why}
                if last:
                    log.warning("job_failed", **facts, exc_info=unexpected)
                    await until_done(lambda: jobs.fail(*at, reason=why))
                    return
                wait_s = job_retry.wait_s(claim.attempts, random.random())  # noqa: S311 - it spreads load
                log.warning("job_put_off", **facts, wait_s=round(wait_s, 1), exc_info=unexpected)
                await until_done(lambda: jobs.put_off(*at, wait_s=wait_s, reason=why))
