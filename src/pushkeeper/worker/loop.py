"""The worker: claim, look once more, send, settle."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from pushkeeper.core import retry
from pushkeeper.core.model import Provider, Push
from pushkeeper.core.outcome import Accepted, BadMessage, Verdict
from pushkeeper.core.retry import Attempt, End, Held, Settled
from pushkeeper.core.routing import Ways
from pushkeeper.errors import Unreachable
from pushkeeper.store import batches, routes, workers
from pushkeeper.store.batches import Target
from pushkeeper.store.database import GONE_CHANNEL, HALT_CHANNEL, ROUTES_CHANNEL, WORK_CHANNEL
from pushkeeper.telemetry import logger
from pushkeeper.worker import upkeep
from pushkeeper.worker.alarms import Alarms
from pushkeeper.worker.facts import Answered, SetAside, Slice, Work, guarded
from pushkeeper.worker.figures import Figures
from pushkeeper.worker.lanes import Lanes
from pushkeeper.worker.listener import Listener
from pushkeeper.worker.lookout import NO_LANE, ClaimedPush, Lookout, Moment
from pushkeeper.worker.recalls import Recalls
from pushkeeper.worker.senders import Senders
from pushkeeper.worker.settle import Settler
from pushkeeper.worker.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from uuid import UUID

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.rendering.renderer import Renderer
    from pushkeeper.store.batches import ClaimedBatch
    from pushkeeper.store.database import Database
    from pushkeeper.store.routes import Route
    from pushkeeper.store.vault import Vault
    from pushkeeper.worker.facts import Fact
    from pushkeeper.worker.senders import Providers
    from pushkeeper.worker.upkeep import Chore

log = logger("worker")

MAX_UNSETTLED = 4_000
# So much of it is kept for what is urgent: a broadcast never has all of the worker.
KEPT_FOR_URGENT = 500
LEASE_S = 15.0
IDLE_S = 5.0
DRAIN_S = 6.0


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
        self._senders = Senders(database, vault, providers.open, self._on_verdicts)
        self._settler = Settler(
            database, review=self._review, on_written=self._written, figures=self._figures
        )
        self._alarms = Alarms()
        self._works: dict[int, Work] = {}
        self._turns: Turns[ClaimedPush] = Turns()
        self._wake = asyncio.Event()
        self._routes_changed = asyncio.Event()
        self._recalls = Recalls(database, self._messages, self._recall)
        self._lookout = Lookout(database, self._lanes, providers.checks, self._recalls, renderer)
        self._stopping = False

    def stop(self) -> None:
        """Claim nothing more; `run` returns once what is under way is settled, or given back."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped."""
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
        async with asyncio.TaskGroup() as group:
            settling = group.create_task(self._settler.run())
            background = [
                group.create_task(job)
                for job in (
                    listener.run(),
                    self._keep_routes_fresh(),
                    self._recalls.obey(),
                    upkeep.every(self._lease_s / 3, self._renew),
                    upkeep.probing(self._database, self._lanes, self._senders, drain_s=DRAIN_S),
                    *(upkeep.look_after(chore, told[chore]) for chore in self._chores),
                    *upkeep.tidying(self._database),
                )
            ]
            await self._claim_until_stopped()
            await self._senders.aclose(DRAIN_S)
            self._settler.close()
            await settling
            for task in background:
                task.cancel()
        for chore in self._chores:
            await chore.aclose()
        with suppress(Unreachable):
            await batches.release(self._database, [work.batch.claim for work in self._works.values()])
            last = self._figures.news(self._lanes, self._unsettled(), now=time.monotonic(), new=False)
            await workers.leave(self._database, self._id, figures=last)

    # Claim.

    async def _claim_until_stopped(self) -> None:
        while not self._stopping:
            self._wake.clear()
            if self._settler.waits:
                # The leases run out meanwhile: what is claimed before it is settled would be sent again.
                await self._pause(1.0)
                continue
            try:
                if not await self._claim() and not self._stopping:
                    await self._wait()
            except Unreachable as error:
                log.warning("worker_waits_for_the_database", error=error.message)
                await self._pause(1.0)
            except Exception:
                # The outermost loop: what was claimed comes back with its lease, and the rest goes on.
                log.exception("worker_error")
                await self._pause(1.0)

    async def _claim(self) -> bool:
        """Claim what there is room for and send it; False when there was nothing to be had."""
        devices = self._max_unsettled - self._unsettled()
        if devices <= 0:
            return False
        room = batches.Room(
            devices=devices,
            not_urgent=max(devices - KEPT_FOR_URGENT, 0),
            lanes=self._lanes.rooms(time.monotonic()),
        )
        began = time.monotonic()
        claimed = await batches.claim(self._database, room=room, lease_s=self._lease_s)
        self._figures.claimed(claimed, took_s=time.monotonic() - began, now=datetime.now(UTC))
        if claimed:
            await self._send(claimed, began)
        return bool(claimed)

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
        due_s = await batches.next_due_s(self._database, closed=closed)
        opens_s = self._lanes.opens_in_s(now) if closed else None
        await self._pause(min((s for s in (due_s, opens_s) if s is not None), default=IDLE_S))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(seconds, 0.01), IDLE_S)):
                await self._wake.wait()

    # Send.

    async def _send(self, claimed: Sequence[ClaimedBatch], began: float) -> None:
        """Look at every target once more, and hand what goes to its route's sender; `began` is when the claim did."""
        works = [Work(batch) for batch in claimed]
        await self._drop_empty(works)
        ways = await self._ways(sorted({batch.workspace_id for batch in claimed}))
        told = await self._lookout.read(claimed)
        # From here on nothing waits: a batch that is ours is renewed until all of it is settled.
        self._works |= {work.batch.claim.batch_id: work for work in works if work.unsettled}
        moment = Moment(datetime.now(UTC), time.monotonic(), began)
        facts: list[Fact] = []
        going: dict[int, list[ClaimedPush]] = {}
        for work in works:
            message = told[work.batch.message_id]
            of_workspace = ways.get(work.batch.workspace_id, _NO_WAYS)
            for target in work.batch.targets:
                fate = self._lookout.look(work, target, message, of_workspace, moment)
                if not isinstance(fate, ClaimedPush):
                    facts.append(fate)
                elif self._turns.take(fate):
                    going.setdefault(fate.route.credential_id, []).append(fate)
        self._settler.add(facts)
        self._hand_over(going)

    async def _ways(self, workspaces: Sequence[WorkspaceId]) -> dict[WorkspaceId, Ways[Route]]:
        """The routes of these workspaces, with a sender ready for each that is not paused."""
        found: dict[WorkspaceId, list[Route]] = {}
        for route in await self._refresh(workspaces):
            trouble = None if route.paused_at else await self._senders.ready(route, drain_s=DRAIN_S)
            ready = replace(route, pause_reason=trouble) if trouble else route
            found.setdefault(route.workspace_id, []).append(ready)
        return {workspace: Ways(several) for workspace, several in found.items()}

    def _hand_over(self, going: dict[int, list[ClaimedPush]]) -> None:
        for credential_id, pushes in going.items():
            try:
                self._senders[credential_id].send(pushes)
            except Exception:  # noqa: BLE001 - what the matter is, is told for the one that it is with
                # One of them cannot be sent: it alone is to fail.
                for push in pushes:
                    self._hand_over_alone(credential_id, push)

    def _hand_over_alone(self, credential_id: int, push: ClaimedPush) -> None:
        try:
            self._senders[credential_id].send([push])
        except Exception as error:
            log.exception("push_cannot_be_sent", delivery_id=push.delivery_id)
            self._fail(push, "unsendable", error)

    def _fail(self, push: ClaimedPush, reason: str, error: Exception) -> None:
        """Our own fault, at this push alone."""
        outcome = BadMessage(malformed=False, unclassified=True)
        verdict = Verdict(row=reason, outcome=outcome, reason=reason, detail=type(error).__name__)
        self._settler.add([Answered(push.work, push, push.route, verdict, Settled(end=End.FAILED))])
        self._hand_over(self._free([push]))

    # Hear.

    def _on_verdicts(self, verdicts: Sequence[tuple[Push, Verdict]]) -> None:
        wall, now = datetime.now(UTC), time.monotonic()
        facts: list[Fact] = []
        heard: list[ClaimedPush] = []
        accepted = Counter(
            _route_of(push).route_id
            for push, verdict in verdicts
            if isinstance(verdict.outcome, Accepted) and not push.dry_run
        )
        for route_id, count in accepted.items():
            self._lanes.hear_accepted(route_id, count, now=now)
        for push, verdict in verdicts:
            assert isinstance(push, ClaimedPush)  # noqa: S101 - senders answer what they were given
            try:
                facts.append(self._answered(push, verdict, wall, now))
                heard.append(push)
            except Exception as error:
                log.exception("verdict_not_understood", row=verdict.row, delivery_id=push.delivery_id)
                self._fail(push, "not_understood", error)
        self._figures.answered([(push.route.provider, push.handed_at) for push in heard], now=now)
        self._settler.add(facts)
        for route, whole in self._lanes.take_closed():
            self._take_back([route], whole=whole)
        self._hand_over(self._free(heard))

    def _answered(self, push: ClaimedPush, verdict: Verdict, wall: datetime, now: float) -> Answered:
        if isinstance(verdict.outcome, Accepted):
            return Answered(push.work, push, push.route, verdict, retry.ACCEPTED)
        believed = self._lanes.hear(push.route.route_id, push.device_id, verdict, now=now)
        attempt = Attempt(
            number=push.attempt,
            ended_at=wall,
            first_at=push.work.batch.first_attempt_at,
            expires_at=push.expires_at,
        )
        decision = retry.decide(
            verdict.outcome,
            attempt,
            policy=retry.FCM if push.route.provider is Provider.FCM else retry.APNS,
            jitter=random.random(),  # noqa: S311 - it spreads load, it guards nothing
            route_accepted=self._lanes[push.route.route_id].accepted,
            believed=believed,
        )
        if isinstance(decision, Held) and not decision.reason.keeps_the_verdict:
            self._lanes.stop(push.route.route_id, decision, verdict, now)
        return Answered(push.work, push, push.route, verdict, decision)

    def _free(self, heard: Iterable[ClaimedPush]) -> dict[int, list[ClaimedPush]]:
        """What waited for these pushes' devices, and goes now."""
        going: dict[int, list[ClaimedPush]] = {}
        for push in self._turns.end(heard):
            going.setdefault(push.route.credential_id, []).append(push)
        return going

    def _recall(self, unwanted: Callable[[Push], bool]) -> None:
        """Take back what has not left: senders answer for theirs, and what waits for its turn is put back here."""
        self._senders.withdraw_everywhere(unwanted)
        now = datetime.now(UTC)
        for push in self._turns.withdraw(unwanted):
            self._lanes.settled(push.route.route_id)
            target = Target(push.device_id, push.person_id, unsubscribed=False, device=None)
            self._settler.add([SetAside(push.work, target, NO_LANE, now, anew=True)])

    def _messages(self) -> set[tuple[WorkspaceId, UUID]]:
        """The messages of which something is under way."""
        return {(work.batch.workspace_id, work.batch.message_id) for work in self._works.values()}

    def _take_back(self, stopped: Iterable[Route], *, whole: bool = False) -> None:
        """Let nothing more leave on these routes: what is still queued goes back into the lane."""
        for route in stopped:
            self._senders.withdraw(
                route.credential_id,
                lambda push, only=route.route_id: whole or _route_of(push).route_id == only,  # type: ignore[misc]
            )

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
            self._recall(lambda push: push.message_id in stopped)
        self._works = {batch_id: work for batch_id, work in self._works.items() if work.unsettled}
        self._wake.set()

    async def _drop_empty(self, works: Sequence[Work]) -> None:
        """A batch without a single target (a person without devices) is over as soon as it is looked at."""
        if empty := [work.batch.claim for work in works if not work.unsettled]:
            await batches.drop_empty(self._database, empty)

    # In the background.

    async def _renew(self) -> None:
        await upkeep.beat(self._database, self._id, self._lanes, self._figures, self._unsettled())
        if not self._works:
            return
        claims = [work.batch.claim for work in self._works.values()]
        kept = await batches.renew(self._database, claims, lease_s=self._lease_s)
        for batch_id in set(self._works) - kept:
            log.warning("claim_lost", batch_id=batch_id)

    async def _refresh(self, workspaces: Sequence[WorkspaceId]) -> list[Route]:
        """How these workspaces' routes stand; what was about to leave on one that has stopped is taken back."""
        found = await routes.of_workspaces(self._database, workspaces)
        self._take_back(self._lanes.refresh(found))
        return found

    async def _keep_routes_fresh(self) -> None:
        """Obey what another worker or an operator says of a route, as soon as it is committed."""
        while True:
            await self._routes_changed.wait()
            self._routes_changed.clear()
            try:
                await self._refresh(sorted(self._lanes.workspaces))
                self._wake.set()
            except Exception as error:
                if not isinstance(error, Unreachable):
                    log.exception("routes_error")
                await asyncio.sleep(1.0)
                self._routes_changed.set()


_NO_WAYS: Ways[Route] = Ways(())


def _route_of(push: Push) -> Route:
    assert isinstance(push, ClaimedPush)  # noqa: S101 - senders hold what they were given
    return push.route
