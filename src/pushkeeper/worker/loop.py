"""The worker: claim, look once more, send, settle."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias, assert_never

from pushkeeper.core import retry
from pushkeeper.core.model import Provider, Push
from pushkeeper.core.retry import Attempt, End
from pushkeeper.errors import BadRequest, Misconfigured, NotFound, Unreachable
from pushkeeper.store import batches, credentials, migrate
from pushkeeper.store.database import WORK_CHANNEL
from pushkeeper.telemetry import logger
from pushkeeper.worker import last_hop
from pushkeeper.worker.settle import Answered, NotSent, SetAside, Settler, Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.core.model import RouteId, WorkspaceId
    from pushkeeper.core.outcome import Verdict
    from pushkeeper.store.batches import ClaimedBatch, MessageToSend, Target
    from pushkeeper.store.credentials import Credential, Route
    from pushkeeper.store.database import Database
    from pushkeeper.store.vault import Vault
    from pushkeeper.worker.settle import Fact

log = logger("worker")

MAX_UNSETTLED = 4_000
LEASE_S = 15.0
IDLE_S = 5.0
UPKEEP_S = 3600.0
DRAIN_S = 6.0
ALERT_EVERY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedPush(Push):
    """A push with where it came from, so that its verdict finds the way back."""

    work: Work
    route: Route


OnVerdicts: TypeAlias = "Callable[[Sequence[tuple[Push, Verdict]]], None]"


class Sender(Protocol):
    """A provider's client: every push handed in is answered exactly once, through `OnVerdicts`, in groups."""

    def send(self, pushes: Sequence[Push]) -> None: ...
    async def aclose(self, drain_s: float) -> None: ...


OpenSender: TypeAlias = "Callable[[Credential, OnVerdicts], Sender]"


class Alerts:
    """Says what is wrong once a minute, and not once a push."""

    def __init__(self) -> None:
        self._said_at: dict[tuple[RouteId, str], float] = {}

    def is_new(self, what: tuple[RouteId, str]) -> bool:
        now = time.monotonic()
        if now - self._said_at.get(what, -ALERT_EVERY_S) < ALERT_EVERY_S:
            return False
        self._said_at[what] = now
        return True


class Worker:
    """Sends what is due, until told to stop; any number of them share one database."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        open_sender: OpenSender,
        *,
        max_unsettled: int = MAX_UNSETTLED,
        lease_s: float = LEASE_S,
    ) -> None:
        """`open_sender` makes a provider's client for a credential; `max_unsettled` bounds what is held in memory."""
        self._database = database
        self._vault = vault
        self._open_sender = open_sender
        self._max_unsettled = max_unsettled
        self._lease_s = lease_s
        self._settler = Settler(database, on_written=self._settled)
        self._works: dict[int, Work] = {}
        self._senders: dict[int, tuple[datetime, Sender]] = {}
        self._draining: set[asyncio.Task[None]] = set()
        self._alerts = Alerts()
        self._wake = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Claim nothing more; `run` returns once what is under way is settled, or given back."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped."""
        async with asyncio.TaskGroup() as group:
            settling = group.create_task(self._settler.run())
            background = [
                group.create_task(self._listen()),
                group.create_task(self._every(self._lease_s / 3, self._renew)),
                group.create_task(self._every(UPKEEP_S, lambda: migrate.make_partitions(self._database))),
            ]
            await self._claim_until_stopped()
            senders, self._senders = self._senders, {}
            await asyncio.gather(*(sender.aclose(DRAIN_S) for _, sender in senders.values()), *self._draining)
            self._settler.close()
            await settling
            for task in background:
                task.cancel()
        with suppress(Unreachable):
            await batches.release(self._database, [work.batch.claim for work in self._works.values()])

    async def _claim_until_stopped(self) -> None:
        while not self._stopping:
            self._wake.clear()
            room = self._max_unsettled - sum(len(work.unsettled) for work in self._works.values())
            try:
                claimed = (
                    await batches.claim(self._database, devices=room, lease_s=self._lease_s)
                    if room > 0
                    else []
                )
                if claimed:
                    await self._send(claimed)
                elif not self._stopping:
                    await self._wait(await batches.next_due_s(self._database) if room > 0 else None)
            except Unreachable as error:
                log.warning("worker_waits_for_the_database", error=error.message)
                await self._wait(1.0)
            except Exception:
                # The outermost loop: what was claimed comes back with its lease, and the rest goes on.
                log.exception("worker_error")
                await self._wait(1.0)

    async def _wait(self, due_s: float | None) -> None:
        """Until there is news, room, or something is due."""
        wait_s = IDLE_S if due_s is None else min(max(due_s, 0.01), IDLE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._wake.wait()

    async def _send(self, claimed: Sequence[ClaimedBatch]) -> None:
        """Look at every target once more, and hand what goes to its route's sender."""
        messages = await batches.messages(self._database, {batch.message_id for batch in claimed})
        workspaces = sorted({batch.workspace_id for batch in claimed})
        routes = await self._routes(workspaces)
        works = [Work(batch) for batch in claimed]
        await self._drop_empty(works)
        # From here on nothing waits: a batch that is ours is renewed until all of it is settled.
        self._works |= {work.batch.claim.batch_id: work for work in works if work.unsettled}
        now = datetime.now(UTC)
        facts: list[Fact] = []
        going: dict[int, list[ClaimedPush]] = {}
        for work in works:
            for target in work.batch.targets:
                fate = self._look(work, target, messages[work.batch.message_id], routes, now)
                if isinstance(fate, ClaimedPush):
                    going.setdefault(fate.route.credential_id, []).append(fate)
                else:
                    facts.append(fate)
        self._settler.add(facts)
        for credential_id, pushes in going.items():
            self._senders[credential_id][1].send(pushes)

    def _look(
        self,
        work: Work,
        target: Target,
        message: MessageToSend,
        routes: dict[WorkspaceId, list[Route]],
        now: datetime,
    ) -> Fact | ClaimedPush:
        of_workspace = routes.get(work.batch.workspace_id, [])
        match last_hop.decide(target, message, of_workspace, now):
            case last_hop.Go(device, route):
                return ClaimedPush(
                    message_id=message.message_id,
                    person_id=device.person_id,
                    device_id=target.device_id,
                    generation=device.generation,
                    token=device.token,
                    id_kind=device.id_kind,
                    platform=device.platform,
                    registered_at=device.registered_at,
                    content=message.content,
                    expires_at=message.expires_at,
                    attempt=work.batch.attempt,
                    work=work,
                    route=route,
                )
            case last_hop.Skip(reason):
                end, why = End.SKIPPED, reason.value
            case last_hop.Expire():
                end, why = End.EXPIRED, "expired"
            case last_hop.Wait(route, reason=paused):
                return SetAside(
                    work=work,
                    device_id=target.device_id,
                    person_id=target.planned_for,
                    route=route,
                    reason=paused,
                )
            case unknown:
                assert_never(unknown)
        return NotSent(
            work=work, device_id=target.device_id, person_id=target.planned_for, end=end, reason=why
        )

    async def _routes(self, workspaces: Sequence[WorkspaceId]) -> dict[WorkspaceId, list[Route]]:
        """The routes of these workspaces, with a sender ready for each that is not paused."""
        found: dict[WorkspaceId, list[Route]] = {}
        for route in await credentials.routes(self._database, workspaces):
            ready = route if route.paused_at else await self._with_sender(route)
            found.setdefault(route.workspace_id, []).append(ready)
        return found

    async def _with_sender(self, route: Route) -> Route:
        """The route; paused, for now, when its credential cannot be used. A changed credential gets a new sender."""
        opened_at, former = self._senders.get(route.credential_id, (None, None))
        if opened_at == route.changed_at:
            return route
        try:
            credential = await credentials.read(self._database, self._vault, route.credential_id)
            sender = self._open_sender(credential, self._on_verdicts)
        except (BadRequest, Misconfigured, NotFound) as error:
            log.warning("credential_not_usable", route=route.name, error=error.message)
            return replace(route, pause_reason=error.message)
        self._senders[route.credential_id] = (route.changed_at, sender)
        if former is not None:
            drained = asyncio.create_task(former.aclose(DRAIN_S))
            self._draining.add(drained)
            drained.add_done_callback(self._draining.discard)
        return route

    def _on_verdicts(self, verdicts: Sequence[tuple[Push, Verdict]]) -> None:
        now = datetime.now(UTC)
        self._settler.add([self._answered(push, verdict, now) for push, verdict in verdicts])

    def _answered(self, push: Push, verdict: Verdict, now: datetime) -> Answered:
        assert isinstance(push, ClaimedPush)  # noqa: S101 - senders answer what they were given
        if verdict.alert and self._alerts.is_new((push.route.route_id, verdict.row)):
            log.warning("provider_alert", route=push.route.name, row=verdict.row, alert=verdict.alert)
        attempt = Attempt(
            number=push.attempt,
            ended_at=now,
            first_at=push.work.batch.first_attempt_at,
            expires_at=push.expires_at,
        )
        decision = retry.decide(
            verdict.outcome,
            attempt,
            policy=retry.FCM if push.route.provider is Provider.FCM else retry.APNS,
            jitter=random.random(),  # noqa: S311 - it spreads load, it guards nothing
            route_accepted=push.route.accepted_at is not None,
        )
        return Answered(work=push.work, push=push, route=push.route, verdict=verdict, decision=decision)

    def _settled(self) -> None:
        self._works = {batch_id: work for batch_id, work in self._works.items() if work.unsettled}
        self._wake.set()

    async def _drop_empty(self, works: Sequence[Work]) -> None:
        """A batch without a single target (a person without devices) is over as soon as it is looked at."""
        if empty := [work.batch.claim for work in works if not work.unsettled]:
            await batches.drop_empty(self._database, empty)

    async def _renew(self) -> None:
        if not self._works:
            return
        kept = await batches.renew(
            self._database, [work.batch.claim for work in self._works.values()], lease_s=self._lease_s
        )
        for batch_id in set(self._works) - kept:
            log.warning("claim_lost", batch_id=batch_id)

    async def _listen(self) -> None:
        """Be woken by whoever puts work into the queue; without the wire we still look every few seconds."""
        while True:
            with suppress(Unreachable):
                async with self._database.listening(WORK_CHANNEL, self._wake.set) as lost:
                    self._wake.set()
                    await lost.wait()
            await asyncio.sleep(1.0)

    async def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await job()
            except Unreachable as error:
                log.warning("upkeep_waits_for_the_database", error=error.message)
