"""Dispatch: pushes go to their route's sender, and each comes back as a fact."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core.delivery import retry
from pushkeeper.core.delivery.outcome import Accepted, our_fault
from pushkeeper.core.delivery.retry import Attempt, End, Held, Settled
from pushkeeper.core.model import Provider
from pushkeeper.observability.logs import logger
from pushkeeper.store.delivery.queue import Target
from pushkeeper.worker.device_order import Turns
from pushkeeper.worker.prepare import NO_LANE, ClaimedPush
from pushkeeper.worker.results import Answered, SetAside
from pushkeeper.worker.tasks import log_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.core.model import Push
    from pushkeeper.store.delivery.routes import Route
    from pushkeeper.worker.lanes import Lanes
    from pushkeeper.worker.metrics import Figures
    from pushkeeper.worker.provider_clients import OnVerdicts, Senders
    from pushkeeper.worker.results import Fact

log = logger("worker")


class Dispatch:
    """What is between a worker and its senders. A push that is handed over becomes one fact, whatever goes wrong."""

    def __init__(
        self,
        lanes: Lanes,
        figures: Figures,
        add: Callable[[Sequence[Fact]], None],
        senders: Callable[[OnVerdicts], Senders],
    ) -> None:
        """`add` takes the facts; `senders` are made with what is to hear their verdicts."""
        self._lanes = lanes
        self._figures = figures
        self._add = add
        self._turns: Turns[ClaimedPush] = Turns()
        self.senders = senders(self._on_verdicts)

    def hand_over(self, pushes: Iterable[ClaimedPush]) -> None:
        """Let these leave, each as soon as nothing else is under way to its device."""
        self._send([push for push in pushes if self._turns.take(push)])

    def recall(self, unwanted: Callable[[ClaimedPush], bool]) -> None:
        """Take back what has not left: senders answer for theirs, and what waits for its turn is put back here."""
        self.senders.withdraw_everywhere(lambda push: unwanted(_claimed(push)))
        now = datetime.now(UTC)
        for push in self._turns.withdraw(unwanted):
            self._lanes.settled(push.route.route_id)
            target = Target(push.device_id, push.person_id, device=None)
            self._add([SetAside(push.work, target, NO_LANE, now, anew=True)])

    def take_back(self, stopped: Iterable[Route], *, whole: bool = False) -> None:
        """Let nothing more leave on these routes: what is still queued goes back into the lane."""
        for route in stopped:
            self.senders.withdraw(
                route.credential_id,
                lambda push, only=route.route_id: whole or _claimed(push).route.route_id == only,  # type: ignore[misc]
            )

    def _send(self, pushes: Sequence[ClaimedPush]) -> None:
        going: dict[int, list[ClaimedPush]] = {}
        for push in pushes:
            going.setdefault(push.route.credential_id, []).append(push)
        for credential_id, several in going.items():
            try:
                self.senders[credential_id].send(several)
            except Exception:  # noqa: BLE001 - what the matter is, is told for the one that it is with
                # One of them cannot be sent: it alone is to fail.
                for push in several:
                    self._send_alone(push)

    def _send_alone(self, push: ClaimedPush) -> None:
        try:
            self.senders[push.route.credential_id].send([push])
        except Exception as error:
            log.exception("push_cannot_be_sent", delivery_id=push.delivery_id)
            self._add([_failed(push, "unsendable", error)])
            self._send(self._turns.end([push]))

    def _on_verdicts(self, verdicts: Sequence[tuple[Push, Verdict]]) -> None:
        wall, now = datetime.now(UTC), time.monotonic()
        heard = [(_claimed(push), verdict) for push, verdict in verdicts]
        with log_failure("accepted_not_counted"):
            self._count_accepted(heard, now)
        # First of all the facts: whatever is wrong with the rest, no answer is lost.
        self._add([self._fact(push, verdict, wall, now) for push, verdict in heard])
        with log_failure("answers_not_counted"):
            self._figures.answered([(push.route.provider, push.handed_at) for push, _ in heard], now=now)
        with log_failure("route_not_taken_back"):
            for route, whole in self._lanes.take_closed():
                self.take_back([route], whole=whole)
        self._send(self._turns.end([push for push, _ in heard]))

    def _count_accepted(self, heard: Sequence[tuple[ClaimedPush, Verdict]], now: float) -> None:
        accepted = Counter(
            push.route.route_id
            for push, verdict in heard
            if isinstance(verdict.outcome, Accepted) and not push.dry_run
        )
        for route_id, count in accepted.items():
            self._lanes.hear_accepted(route_id, count, now=now)

    def _fact(self, push: ClaimedPush, verdict: Verdict, wall: datetime, now: float) -> Answered:
        try:
            return self._answered(push, verdict, wall, now)
        except Exception as error:
            log.exception("verdict_not_understood", code=verdict.code, delivery_id=push.delivery_id)
            return _failed(push, "not_understood", error)

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


def _failed(push: ClaimedPush, reason: str, error: Exception) -> Answered:
    return Answered(push.work, push, push.route, our_fault(reason, error), Settled(end=End.FAILED))


def _claimed(push: Push) -> ClaimedPush:
    assert isinstance(push, ClaimedPush)  # noqa: S101 - senders hold what they were given
    return push
