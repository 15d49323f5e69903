"""The worker: claim, look once more, send, settle."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from pushkeeper.core.delivery.retry import End
from pushkeeper.core.delivery.route_choice import RouteTable
from pushkeeper.errors import Unreachable
from pushkeeper.observability.logs import logger
from pushkeeper.store.db.database import GONE_CHANNEL, HALT_CHANNEL, ROUTES_CHANNEL, WORK_CHANNEL
from pushkeeper.store.delivery import queue, routes, workers
from pushkeeper.worker import settle, upkeep
from pushkeeper.worker.alert_throttle import Alarms
from pushkeeper.worker.cancellations import Recalls
from pushkeeper.worker.dispatch import Dispatch
from pushkeeper.worker.lanes import Lanes
from pushkeeper.worker.listener import Listener
from pushkeeper.worker.metrics import Figures
from pushkeeper.worker.prepare import ClaimedPush, Lookout, Moment
from pushkeeper.worker.provider_clients import Senders
from pushkeeper.worker.results import Answered, NotSent, Slice, Work, guarded
from pushkeeper.worker.tasks import Backoff, Task, every, keep, log_failure, whenever

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.rendering.renderer import Renderer
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.delivery.queue import ClaimedBatch, MessageToSend, Target
    from pushkeeper.store.delivery.routes import Route
    from pushkeeper.worker.provider_clients import Providers
    from pushkeeper.worker.results import Fact
    from pushkeeper.worker.upkeep import Chore

log = logger("worker")

MAX_UNSETTLED = 4_000
# So much of it is kept for what is urgent: a broadcast never has all of the worker.
KEPT_FOR_URGENT = 500
LEASE_S = 15.0
IDLE_S = 5.0
DRAIN_S = 6.0
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
        chores: Sequence[Chore] = (),
        figures: Figures | None = None,
        max_unsettled: int = MAX_UNSETTLED,
        lease_s: float = LEASE_S,
    ) -> None:
        """`chores` are done beside the sending; `max_unsettled` bounds what is held in memory."""
        self._chores = chores
        self._figures = figures or Figures()
        self._database = database
        self._max_unsettled = max_unsettled
        self._lease_s = lease_s
        self._id = uuid4()
        self._lanes = Lanes()
        self._settler = settle.Settler(
            database, review=self._review, on_written=self._written, figures=self._figures
        )
        self._alarms = Alarms()
        self._works: dict[int, Work] = {}
        self._wake = asyncio.Event()
        self._routes_changed = asyncio.Event()
        self._dispatch = Dispatch(
            self._lanes,
            self._figures,
            self._settler.add,
            partial(Senders, database, vault, providers.open),
        )
        self._recalls = Recalls(database, self._messages, self._dispatch.recall)
        self._lookout = Lookout(database, self._lanes, providers.checks, self._recalls, renderer)
        self._stopping = False

    def stop(self) -> None:
        """Claim nothing more; `run` returns once what is under way is settled, or given back."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped."""
        tasks = self.tasks()
        async with asyncio.TaskGroup() as group:
            running = {
                task.name: group.create_task(keep(task, self._figures), name=task.name) for task in tasks
            }
            await running.pop(_CLAIM)
            await self._dispatch.senders.aclose(DRAIN_S)
            self._settler.close()
            await running.pop(settle.NAME)
            for task in running.values():
                task.cancel()
        for chore in self._chores:
            with log_failure("chore_not_closed"):
                await chore.aclose()
        with suppress(Unreachable):
            await queue.release(self._database, [work.batch.claim for work in self._works.values()])
            last = self._figures.news(self._lanes, self._unsettled(), now=time.monotonic(), new=False)
            await workers.leave(self._database, self._id, figures=last)

    def tasks(self) -> list[Task]:
        """All that this worker does at the same time: `claim` and `settle` until it is stopped, the others without end."""
        database, figures = self._database, self._figures
        told = {chore: asyncio.Event() for chore in self._chores}
        heard = [
            (WORK_CHANNEL, upkeep.setting(self._wake)),
            (ROUTES_CHANNEL, upkeep.setting(self._routes_changed)),
            (HALT_CHANNEL, self._recalls.hear_of_messages),
            (GONE_CHANNEL, self._recalls.hear_of_devices),
            *((one.channel, upkeep.setting(event)) for one, event in told.items() if one.channel is not None),
        ]
        listener = Listener(self._database, heard)
        self._figures.polls = lambda: listener.polls
        beat_s = self._lease_s / 3
        return [
            Task(_CLAIM, self._claim_until_stopped),
            Task(settle.NAME, self._settler.run),
            Task("listen", listener.run),
            whenever(self._routes_changed, "routes", self._obey_routes, figures),
            whenever(self._recalls.halted, "recalls", self._recalls.obey, figures),
            every("lease", beat_s, self._renew, figures),
            every("beat", beat_s, self._beat, figures),
            every("probe", upkeep.PROBE_S, self._probe, figures),
            *(
                every(one.name, partial(getattr, one, "look_every_s"), one.look, figures, event)
                for one, event in told.items()
            ),
            *upkeep.tidying(database, figures),
        ]

    # Claim.

    async def _claim_until_stopped(self) -> None:
        backoff = Backoff(_CLAIM, self._figures)
        interrupted = False
        while not self._stopping:
            self._wake.clear()
            if self._settler.waits:
                # The leases run out meanwhile: what is claimed before it is settled would be sent again.
                interrupted = True
                await self._pause(1.0)
                continue
            try:
                if interrupted:
                    # Claims whose leases ran out are ours as long as nobody else has them.
                    await self._renew()
                    interrupted = False
                if not await self._claim() and not self._stopping:
                    await self._wait()
                backoff.succeeded()
            except Exception as error:  # noqa: BLE001 - logged there; what was claimed comes back with its lease
                interrupted = True
                await self._pause(backoff.failed(error))

    async def _claim(self) -> bool:
        """Claim what there is room for and send it; False when there was nothing to be had."""
        devices = self._max_unsettled - self._unsettled()
        if devices <= 0:
            return False
        room = queue.ClaimLimits(
            devices=devices,
            not_urgent=max(devices - KEPT_FOR_URGENT, 0),
            lanes=self._lanes.rooms(time.monotonic()),
        )
        began = time.monotonic()
        claimed = await queue.claim(self._database, room=room, lease_s=self._lease_s)
        self._figures.claimed(claimed, took_s=time.monotonic() - began, now=datetime.now(UTC))
        if fresh := [batch for batch in claimed if not self._is_in_hand(batch)]:
            await self._send_or_give_back(fresh, began)
        return bool(claimed)

    def _is_in_hand(self, batch: ClaimedBatch) -> bool:
        """Whether a batch is ours already, and came again as its lease had run out: it goes on under the new claim."""
        work = self._works.get(batch.claim.batch_id)
        if work is not None:
            work.batch = replace(work.batch, claim=batch.claim)
        return work is not None

    def _unsettled(self) -> int:
        return sum(len(work.unsettled) for work in self._works.values())

    async def _wait(self) -> None:
        """Until there is news, room, or something is due."""
        if self._unsettled() + KEPT_FOR_URGENT >= self._max_unsettled:
            # What is due may be a broadcast, for which there is no room; what is urgent tells of itself.
            await self._pause(1.0)
            return
        now = time.monotonic()
        closed = [route for route, room in self._lanes.rooms(now).items() if not room]
        due_s = await queue.next_due_s(self._database, closed=closed)
        opens_s = self._lanes.opens_in_s(now) if closed else None
        await self._pause(min((s for s in (due_s, opens_s) if s is not None), default=IDLE_S))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(seconds, 0.01), IDLE_S)):
                await self._wake.wait()

    # Send.

    async def _send_or_give_back(self, claimed: Sequence[ClaimedBatch], began: float) -> None:
        """Send batches. Where that cannot be prepared nothing has left: one alone is at fault, or the database is away."""
        try:
            await self._send(claimed, began)
        except Unreachable:
            await queue.release(self._database, [batch.claim for batch in claimed])
            raise
        except Exception:
            if len(claimed) > 1:
                for batch in claimed:
                    await self._send_or_give_back([batch], began)
                return
            log.exception(
                "batch_not_prepared", batch=claimed[0].claim.batch_id
            )  # it comes back with its lease

    async def _send(self, claimed: Sequence[ClaimedBatch], began: float) -> None:
        """Look at every target once more, and hand what goes to its route's sender; `began` is when the claim did."""
        works = [Work(batch) for batch in claimed]
        await self._drop_empty(works)
        ways = await self._ways(sorted({batch.workspace_id for batch in claimed}))
        told = await self._lookout.read(claimed)
        # From here on nothing waits or fails: a batch that is ours is renewed until all of it is settled.
        self._works |= {work.batch.claim.batch_id: work for work in works if work.unsettled}
        moment = Moment(datetime.now(UTC), time.monotonic(), began)
        facts: list[Fact] = []
        going: list[ClaimedPush] = []
        for work in works:
            message = told[work.batch.message_id]
            of_workspace = ways.get(work.batch.workspace_id, _NO_WAYS)
            for target in work.batch.targets:
                fate = self._look(work, target, message, of_workspace, moment)
                if isinstance(fate, ClaimedPush):
                    going.append(fate)
                else:
                    facts.append(fate)
        self._settler.add(facts)
        self._dispatch.hand_over(going)

    def _look(
        self, work: Work, target: Target, message: MessageToSend, ways: RouteTable[Route], moment: Moment
    ) -> Fact | ClaimedPush:
        try:
            return self._lookout.look(work, target, message, ways, moment)
        except Exception as error:
            log.exception("target_not_looked_at", device_id=target.device_id.hex())
            return NotSent(work, target, End.FAILED, "unsendable", type(error).__name__)

    async def _ways(self, workspaces: Sequence[WorkspaceId]) -> dict[WorkspaceId, RouteTable[Route]]:
        """The routes of these workspaces, with a sender ready for each that is not paused."""
        found: dict[WorkspaceId, list[Route]] = {}
        for route in await self._refresh(workspaces):
            trouble = None if route.paused_at else await self._dispatch.senders.ready(route, drain_s=DRAIN_S)
            ready = replace(route, pause_reason=trouble) if trouble else route
            found.setdefault(route.workspace_id, []).append(ready)
        return {workspace: RouteTable(several) for workspace, several in found.items()}

    def _messages(self) -> set[tuple[WorkspaceId, UUID]]:
        """The messages of which something is under way."""
        return {(work.batch.workspace_id, work.batch.message_id) for work in self._works.values()}

    # Settle.

    def _review(self, facts: Sequence[Fact]) -> Slice:
        """The facts in the light of all that is known by now, with what the lanes have to say."""
        pauses, rests, alarms = self._lanes.take_news()
        results = self._lanes.take_results()
        self._figures.heard(results)
        return Slice(
            facts=[guarded(fact) if self._is_guarded(fact) else fact for fact in facts],
            pauses=pauses,
            rests=rests,
            alarms=self._alarms.new(alarms),
            results=results,
        )

    def _is_guarded(self, fact: Fact) -> bool:
        return isinstance(fact, Answered) and self._lanes[fact.route.route_id].guarded

    def _written(self, facts: Sequence[Fact], stopped: Collection[UUID]) -> None:
        for fact in facts:
            if isinstance(fact, Answered):
                self._lanes.settled(fact.route.route_id)
        if stopped:
            self._dispatch.recall(lambda push: push.message_id in stopped)
        self._works = {batch_id: work for batch_id, work in self._works.items() if work.unsettled}
        self._wake.set()

    async def _drop_empty(self, works: Sequence[Work]) -> None:
        """A batch without a single target (a person without devices) is over as soon as it is looked at."""
        if empty := [work.batch.claim for work in works if not work.unsettled]:
            await queue.drop_empty(self._database, empty)

    # In the background.

    async def _beat(self) -> None:
        await upkeep.beat(self._database, self._id, self._lanes, self._figures, self._unsettled())

    async def _probe(self) -> None:
        await upkeep.probe(self._database, self._lanes, self._dispatch.senders, drain_s=DRAIN_S)

    async def _renew(self) -> None:
        """Keep what is in hand for another lease; what others have by now leaves no more, as they send it."""
        if not self._works:
            return
        claims = {batch_id: work.batch.claim for batch_id, work in self._works.items()}
        kept = await queue.renew(self._database, claims.values(), lease_s=self._lease_s)
        if lost := claims.keys() - kept:
            log.warning("claims_lost", batches=sorted(lost))
            self._dispatch.recall(lambda push: push.work.batch.claim.batch_id in lost)

    async def _refresh(self, workspaces: Sequence[WorkspaceId]) -> list[Route]:
        """How these workspaces' routes stand; what was about to leave on one that has stopped is taken back."""
        found = await routes.of_workspaces(self._database, workspaces)
        self._dispatch.take_back(self._lanes.refresh(found))
        return found

    async def _obey_routes(self) -> None:
        """Obey what another worker or an operator says of a route, as soon as it is committed."""
        await self._refresh(sorted(self._lanes.workspaces))
        self._wake.set()


_NO_WAYS: RouteTable[Route] = RouteTable(())
