"""Send, the third stage: pushes go to their route's provider, and each comes back as a result."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core.delivery import retry
from pushkeeper.core.delivery.outcome import Accepted, our_fault
from pushkeeper.core.delivery.retry import Attempt, End, Held, Settled
from pushkeeper.core.delivery.route_choice import RouteTable
from pushkeeper.observability.isolation import each, isolated
from pushkeeper.observability.logs import logger
from pushkeeper.store.delivery import routes
from pushkeeper.store.delivery.queue import Target
from pushkeeper.worker import upkeep
from pushkeeper.worker.device_order import DeviceOrder
from pushkeeper.worker.prepare import NO_LANE, ClaimedPush
from pushkeeper.worker.provider_clients import ProviderClients
from pushkeeper.worker.results import Answered, SetAside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.core.model import Push, WorkspaceId
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.delivery.routes import Route
    from pushkeeper.worker.lanes import Lanes
    from pushkeeper.worker.metrics import WorkerMetrics
    from pushkeeper.worker.provider_clients import OpenClient
    from pushkeeper.worker.result_queue import ResultQueue

log = logger("worker")

DRAIN_S = 6.0


class SendStage:
    """Takes pushes; puts one result of each into the queue, whatever goes wrong; owns the clients and the order by device.

    Its clients answer through `_on_verdicts`: that is the only callback in the row, and both of its ends are here.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        open_client: OpenClient,
        lanes: Lanes,
        results: ResultQueue,
        metrics: WorkerMetrics,
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._results = results
        self._metrics = metrics
        self._order: DeviceOrder[ClaimedPush] = DeviceOrder()
        self._clients = ProviderClients(database, vault, open_client, self._on_verdicts)

    # Routes, and a client for each.

    async def open_routes(self, workspaces: Iterable[WorkspaceId]) -> dict[WorkspaceId, RouteTable[Route]]:
        """The routes of these workspaces, with a client ready for each that is not paused."""
        found: dict[WorkspaceId, list[Route]] = {}
        for route in await self.refresh_routes(workspaces):
            trouble = None if route.paused_at else await self._clients.ready(route, drain_s=DRAIN_S)
            ready = replace(route, pause_reason=trouble) if trouble else route
            found.setdefault(route.workspace_id, []).append(ready)
        return {workspace: RouteTable(several) for workspace, several in found.items()}

    async def refresh_routes(self, workspaces: Iterable[WorkspaceId]) -> list[Route]:
        """The current settings of these workspaces' routes; unsent pushes of stopped routes are withdrawn."""
        found = await routes.of_workspaces(self._database, sorted(workspaces))
        for stopped in self._lanes.refresh(found):
            self._withdraw_route(stopped, whole=False)
        return found

    async def probe(self) -> None:
        """Probe the providers of paused routes."""
        await upkeep.probe(self._database, self._lanes, self._clients, drain_s=DRAIN_S)

    async def aclose(self) -> None:
        """Let nothing more leave; answers that come within the time to drain are results still."""
        await self._clients.aclose(DRAIN_S)

    # Pushes.

    def hand_over(self, pushes: Iterable[ClaimedPush]) -> None:
        """Let these leave, each as soon as nothing else is under way to its device."""
        self._send([push for push in pushes if self._order.take(push)])

    def withdraw(self, unwanted: Callable[[ClaimedPush], bool]) -> None:
        """Withdraw unsent pushes: clients answer for theirs, and pushes waiting here go back into the queue."""
        self._clients.withdraw_everywhere(lambda push: unwanted(_claimed(push)))
        now = datetime.now(UTC)
        for push in self._order.withdraw(unwanted):
            self._lanes.settled(push.route.route_id)
            target = Target(push.device_id, push.person_id, device=None)
            self._results.put([SetAside(push.work, target, NO_LANE, now, takes_new_slot=True)])

    def _withdraw_route(self, stopped: Route, *, whole: bool) -> None:
        """Let nothing more leave on a route, or on its `whole` credential: what is still queued goes back into the lane."""
        only = stopped.route_id
        self._clients.withdraw(
            stopped.credential_id, lambda push: whole or _claimed(push).route.route_id == only
        )

    def _send(self, pushes: Sequence[ClaimedPush]) -> None:
        going: dict[int, list[ClaimedPush]] = {}
        for push in pushes:
            going.setdefault(push.route.credential_id, []).append(push)
        for credential_id, several in going.items():
            with isolated() as together:
                self._clients[credential_id].send(several)
            if together.error is not None:
                # One of them cannot be sent: it alone is to fail.
                for push in several:
                    self._send_alone(push)

    def _send_alone(self, push: ClaimedPush) -> None:
        with isolated(log, "push_cannot_be_sent", delivery_id=push.delivery_id) as tried:
            self._clients[push.route.credential_id].send([push])
        if tried.error is not None:
            self._results.put([_failed(push, "unsendable", tried.error)])
            self._send(self._order.end([push]))

    def _on_verdicts(self, verdicts: Sequence[tuple[Push, Verdict]]) -> None:
        wall, now = datetime.now(UTC), time.monotonic()
        heard = [(_claimed(push), verdict) for push, verdict in verdicts]
        with isolated(log, "accepted_not_counted"):
            self._count_accepted(heard, now)
        # First of all the results: whatever is wrong with the rest, no answer is lost.
        self._results.put(each(heard, lambda one: self._answered(*one, wall, now), _not_understood))
        with isolated(log, "answers_not_counted"):
            self._metrics.answered([(push.route.provider, push.handed_at) for push, _ in heard], now=now)
        with isolated(log, "route_not_taken_back"):
            for route, whole in self._lanes.take_closed():
                self._withdraw_route(route, whole=whole)
        self._send(self._order.end([push for push, _ in heard]))

    def _count_accepted(self, heard: Sequence[tuple[ClaimedPush, Verdict]], now: float) -> None:
        accepted = Counter(
            push.route.route_id
            for push, verdict in heard
            if isinstance(verdict.outcome, Accepted) and not push.dry_run
        )
        for route_id, count in accepted.items():
            self._lanes.on_accepted(route_id, count, now=now)

    def _answered(self, push: ClaimedPush, verdict: Verdict, wall: datetime, now: float) -> Answered:
        if isinstance(verdict.outcome, Accepted):
            return Answered(push.work, push, push.route, verdict, retry.ACCEPTED)
        believed = self._lanes.on_verdict(push.route.route_id, push.device_id, verdict, now=now)
        attempt = Attempt(
            number=push.attempt,
            ended_at=wall,
            first_at=push.work.batch.first_attempt_at,
            expires_at=push.expires_at,
        )
        decision = retry.decide(
            verdict.outcome,
            attempt,
            policy=retry.POLICIES[push.route.provider],
            jitter=random.random(),  # noqa: S311 - it spreads load, it guards nothing
            route_accepted=self._lanes[push.route.route_id].accepted,
            believed=believed,
        )
        if isinstance(decision, Held) and not decision.reason.keeps_the_verdict:
            self._lanes.stop(push.route.route_id, decision, verdict, now)
        return Answered(push.work, push, push.route, verdict, decision)


def _not_understood(answer: tuple[ClaimedPush, Verdict], error: Exception) -> Answered:
    push, verdict = answer
    log.error("verdict_not_understood", code=verdict.code, delivery_id=push.delivery_id, exc_info=error)
    return _failed(push, "not_understood", error)


def _failed(push: ClaimedPush, reason: str, error: Exception) -> Answered:
    return Answered(push.work, push, push.route, our_fault(reason, error), Settled(end=End.FAILED))


def _claimed(push: Push) -> ClaimedPush:
    assert isinstance(push, ClaimedPush)  # noqa: S101 - senders hold what they were given
    return push
