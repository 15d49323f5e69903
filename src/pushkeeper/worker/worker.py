"""The worker: four stages in a row, and periodic tasks.

    claim ──Claimed──▶ prepare ──pushes──▶ send ──┐
                          └───────results─────────┴──▶ settle

`claim.py` takes batches off the queue and keeps their leases; `prepare.py` checks every target again and renders;
`send.py` hands pushes to the providers' clients and turns their responses into results; `settle.py` writes results. No stage
knows the one before it, or what runs them: a stage returns its output, or puts it into the queue of results.

Three objects are shared: batches in hand (`in_hand.py`), the limits of routes (`lanes.py`), and notifications about
halted messages and deleted devices (`cancellations.py`).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from pushkeeper.errors import Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.store.db.database import GONE_CHANNEL, HALT_CHANNEL, ROUTES_CHANNEL, WORK_CHANNEL
from pushkeeper.store.delivery import queue, workers
from pushkeeper.worker import settle, upkeep
from pushkeeper.worker.cancellations import Cancellations
from pushkeeper.worker.claim import Claimed, ClaimStage
from pushkeeper.worker.in_hand import InHand
from pushkeeper.worker.lanes import Lanes
from pushkeeper.worker.listener import Listener
from pushkeeper.worker.metrics import WorkerMetrics
from pushkeeper.worker.prepare import PrepareStage
from pushkeeper.worker.result_queue import ResultQueue
from pushkeeper.worker.send import SendStage
from pushkeeper.worker.settle import SettleStage
from pushkeeper.worker.tasks import Backoff, Task, every, keep, supervised, whenever

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.rendering.renderer import Renderer
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.worker.provider_clients import Providers
    from pushkeeper.worker.upkeep import PeriodicTask

log = logger("worker")

MAX_UNSETTLED = 4_000
LEASE_S = 15.0
_CLAIM = "claim"


class Worker:
    """Sends what is due, until told to stop; any number of them share one database."""

    def __init__(  # noqa: PLR0913 - called once, where all is wired
        self,
        database: Database,
        vault: Vault,
        providers: Providers,
        renderer: Renderer,
        *,
        periodic_tasks: Sequence[PeriodicTask] = (),
        metrics: WorkerMetrics | None = None,
        max_unsettled: int = MAX_UNSETTLED,
        lease_s: float = LEASE_S,
    ) -> None:
        """`periodic_tasks` are done beside the sending; `max_unsettled` bounds what is held in memory."""
        self._database = database
        self._periodic_tasks = periodic_tasks
        self._metrics = metrics = metrics or WorkerMetrics()
        self._lease_s = lease_s
        self._id = uuid4()
        self._stopping = False
        self._interrupted = False  # leases may have run out
        self._routes_changed = asyncio.Event()
        # Shared by the stages.
        self._in_hand = in_hand = InHand()
        self._lanes = lanes = Lanes()
        self._cancellations = Cancellations()
        self._results = results = ResultQueue()
        # The row.
        self._claim = ClaimStage(
            database, lanes, in_hand, metrics, max_unsettled=max_unsettled, lease_s=lease_s
        )
        self._prepare = PrepareStage(database, lanes, self._cancellations, providers.checks, renderer, vault)
        self._send = SendStage(database, vault, providers.open, lanes, results, metrics)
        self._settle = SettleStage(database, lanes, in_hand, results, metrics)

    def stop(self) -> None:
        """Claim nothing more; `run` returns once what is under way is settled, or given back."""
        self._stopping = True
        self._claim.wake.set()

    async def run(self) -> None:
        """Work until stopped."""
        tasks = self.tasks()
        async with asyncio.TaskGroup() as group:
            running = {
                task.name: group.create_task(keep(task, self._metrics), name=task.name) for task in tasks
            }
            await running.pop(_CLAIM)
            await self._send.aclose()
            self._settle.close()
            await running.pop(settle.NAME)
            for task in running.values():
                task.cancel()
        for periodic in self._periodic_tasks:
            with isolated(log, "chore_not_closed"):
                await periodic.aclose()
        with suppress(Unreachable):
            await self._claim.give_back_all()
            last = self._metrics.changed(
                self._lanes, self._in_hand.unsettled, now=time.monotonic(), new=False
            )
            await workers.leave(self._database, self._id, samples=last)

    def tasks(self) -> list[Task]:
        """All that this worker does at the same time: `claim` and `settle` until it is stopped, the others without end."""
        metrics, told = self._metrics, {periodic: asyncio.Event() for periodic in self._periodic_tasks}
        heard = [
            (WORK_CHANNEL, upkeep.setting(self._claim.wake)),
            (ROUTES_CHANNEL, upkeep.setting(self._routes_changed)),
            (HALT_CHANNEL, self._cancellations.on_halted),
            (GONE_CHANNEL, self._withdraw_devices),
            *((one.channel, upkeep.setting(event)) for one, event in told.items() if one.channel is not None),
        ]
        listener = Listener(self._database, heard)
        metrics.polls = lambda: listener.polls
        beat_s = self._lease_s / 3
        return [
            Task(_CLAIM, self._claim_until_stopped),
            Task(settle.NAME, self._settle_until_closed),
            Task("listen", listener.run),
            whenever(self._routes_changed, "routes", self._refresh_routes, metrics),
            whenever(self._cancellations.halted, "recalls", self._withdraw_messages, metrics),
            every("lease", beat_s, self._renew, metrics),
            every("beat", beat_s, self._beat, metrics),
            every("probe", upkeep.PROBE_S, self._send.probe, metrics),
            *(
                every(one.name, partial(getattr, one, "look_every_s"), one.look, metrics, event)
                for one, event in told.items()
            ),
            *upkeep.tidying(self._database, metrics),
        ]

    # The row.

    async def _claim_until_stopped(self) -> None:
        backoff = Backoff(_CLAIM, self._metrics)
        while not self._stopping:
            self._claim.wake.clear()
            if self._settle.waits:
                # The leases run out meanwhile: what is claimed before it is settled would be sent again.
                self._interrupted = True
                await self._claim.pause(1.0)
            elif (pause_s := await supervised(backoff, self._claim_and_send)) is not None:
                self._interrupted = True  # claimed batches return with their lease
                await self._claim.pause(pause_s)
            else:
                backoff.succeeded()

    async def _claim_and_send(self) -> None:
        if self._interrupted:
            # Claims with expired leases are ours until somebody else has them.
            await self._renew()
            self._interrupted = False
        claimed = await self._claim.claim()
        if claimed is not None:
            await self._send_on(claimed)
        elif not self._stopping:
            await self._claim.wait()

    async def _send_on(self, claimed: Claimed) -> None:
        """From claim to send. Where that cannot be prepared nothing has left: one batch is at fault, or the database is away."""
        if not claimed.batches:
            return
        try:
            with isolated(passing=Unreachable) as tried:
                ways = await self._send.open_routes({batch.workspace_id for batch in claimed.batches})
                prepared = await self._prepare.prepare(claimed, ways)
        except Unreachable:
            await self._claim.give_back(claimed.batches)
            raise
        if tried.error is not None:
            if len(claimed.batches) > 1:
                for batch in claimed.batches:
                    await self._send_on(Claimed([batch], claimed.read_at))
            else:  # it comes back with its lease
                log.error("batch_not_prepared", batch=claimed.batches[0].claim.batch_id, exc_info=tried.error)
            return
        # A batch that is in hand is renewed until all of it is settled.
        self._in_hand.add(prepared.works)
        self._results.put(prepared.results)
        self._send.hand_over(prepared.pushes)

    async def _settle_until_closed(self) -> None:
        async for stopped in self._settle.slices():
            if stopped:
                self._send.withdraw(lambda push, stopped=stopped: push.message_id in stopped)  # type: ignore[misc]
            self._claim.wake.set()

    # What is not to be sent after all.

    def _withdraw_devices(self, keys: str) -> None:
        gone = self._cancellations.on_devices_gone(keys)
        self._send.withdraw(lambda push: gone is None or push.device_id in gone)

    async def _withdraw_messages(self) -> None:
        messages = self._in_hand.messages
        halted = await queue.halted(self._database, messages) if messages else set()
        if halted:
            self._send.withdraw(lambda push: push.message_id in halted)

    async def _renew(self) -> None:
        """Keep what is in hand for another lease; what others have by now leaves no more, as they send it."""
        if lost := await self._claim.renew():
            self._send.withdraw(lambda push: push.work.batch.claim.batch_id in lost)

    # In the background.

    async def _refresh_routes(self) -> None:
        """Apply the state of a route that another worker or an operator set, as soon as it is committed."""
        await self._send.refresh_routes(self._lanes.workspaces)
        self._claim.wake.set()

    async def _beat(self) -> None:
        await upkeep.beat(self._database, self._id, self._lanes, self._metrics, self._in_hand.unsettled)
