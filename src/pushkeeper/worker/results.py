"""Results: the outcomes of pushes, and what each is written as. No I/O."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pushkeeper.core.delivery.outcome import Accepted, Certainty, Scope, Verdict
from pushkeeper.core.delivery.retry import ACCEPTED, Decision, Deferred, End, Held, Hold, Settled
from pushkeeper.core.model import Push, RouteId
from pushkeeper.store.delivery.accepted_pushes import Acceptance, AcceptanceGroup
from pushkeeper.store.delivery.held_refusals import HeldVerdict
from pushkeeper.store.delivery.pushes import PushRow
from pushkeeper.store.delivery.queue import Requeue, Target
from pushkeeper.store.delivery.routes import Route
from pushkeeper.store.devices.devices import SettleEvent, Settlement
from pushkeeper.store.webhooks import FailedAttempt
from pushkeeper.worker.in_hand import Work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushkeeper.core.delivery.refusal_guard import Result
    from pushkeeper.core.model import DeviceId, PersonId, RouteKey
    from pushkeeper.worker.lanes import Alarm, Pause, Rest


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The provider answered, or failed to: what its answer means, and what follows."""

    work: Work
    push: Push
    route: Route
    verdict: Verdict
    decision: Decision

    @property
    def device_id(self) -> DeviceId:
        return self.push.device_id

    @property
    def person_id(self) -> PersonId:
        return self.push.person_id


class NotSent(msgspec.Struct, frozen=True, gc=False):
    """The push never left: skipped, stopped, or expired in our own queue."""

    work: Work
    target: Target
    end: End
    reason: str  # a reason code
    detail: str | None = None

    @property
    def device_id(self) -> DeviceId:
        return self.target.device_id

    @property
    def person_id(self) -> PersonId:
        return self.target.planned_for


class SetAside(msgspec.Struct, frozen=True, gc=False):
    """The push goes back into the queue, and is due there again later.

    Attributes:
        lane: of its route, which is paused, throttled or full; 0 if its broadcast waits.
        takes_new_slot: it uses a new slot of its broadcast's rate.
    """

    work: Work
    target: Target
    lane: RouteId
    due_at: datetime
    takes_new_slot: bool = False

    @property
    def device_id(self) -> DeviceId:
        return self.target.device_id

    @property
    def person_id(self) -> PersonId:
        return self.target.planned_for


PushResult: TypeAlias = Answered | NotSent | SetAside


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One transaction's content: results of pushes, and what the lanes learned."""

    outcomes: Sequence[PushResult]
    pauses: Sequence[Pause] = ()
    rests: Sequence[Rest] = ()
    alarms: Sequence[Alarm] = ()
    results: Mapping[RouteKey, Mapping[Result, int]] = field(default_factory=dict)

    @property
    def has_changes(self) -> bool:
        """Whether the lanes learned anything."""
        return bool(self.pauses or self.rests or self.alarms or self.results)

    def followed_by(self, later: Slice) -> Slice:
        """The facts of the later slice, with what the lanes learned until then."""
        results = {route: Counter(counts) for route, counts in self.results.items()}
        for route, counts in later.results.items():
            results.setdefault(route, Counter()).update(counts)
        return Slice(
            outcomes=later.outcomes,
            pauses=[*self.pauses, *later.pauses],
            rests=[*self.rests, *later.rests],
            alarms=[*self.alarms, *later.alarms],
            results=results,
        )


def unrecordable(outcome: Answered | SetAside) -> NotSent:
    """The end of a push of which more cannot be written."""
    target = Target(outcome.device_id, outcome.person_id, device=None)
    return NotSent(outcome.work, target, End.FAILED, "unrecordable")


def guarded(outcome: PushResult) -> PushResult:
    """A bounce in a wave of rejections is put on hold; any other result is unchanged."""
    match outcome:
        case (
            Answered(decision=Settled(end=End.BOUNCED, certainty=Certainty.AMBIGUOUS))
            | Answered(decision=Held(reason=Hold.UNPROVEN))
        ):
            held = Held(scope=Scope.CREDENTIAL, reason=Hold.GUARDED)
            return Answered(outcome.work, outcome.push, outcome.route, outcome.verdict, held)
        case _:
            return outcome


def push_row(outcome: PushResult) -> PushRow | None:
    """The row that a fact becomes; None while the push is not over."""
    batch = outcome.work.batch
    match outcome:
        case NotSent():
            return PushRow(
                message_id=batch.message_id,
                device_id=outcome.device_id,
                workspace_id=batch.workspace_id,
                person_id=outcome.person_id,
                generation=None,
                ending=outcome.end.value,
                reason=outcome.reason,
                detail=outcome.detail,
                attempts=batch.attempt,
            )
        case Answered(push=push) if push.dry_run:
            return _tried(outcome)
        case Answered(decision=Settled() as settled, push=push, verdict=verdict):
            accepted = verdict.outcome if isinstance(verdict.outcome, Accepted) else None
            return PushRow(
                message_id=push.message_id,
                device_id=push.device_id,
                workspace_id=batch.workspace_id,
                person_id=push.person_id,
                generation=push.generation,
                ending=settled.end.value,
                # Of an accepted push the code follows from its provider: it is not stored a million times.
                reason="" if settled.end is End.ACCEPTED else verdict.code,
                provider=outcome.route.provider.value,
                provider_status=verdict.status,
                provider_reason=verdict.reason,
                provider_id=accepted.provider_id if accepted else None,
                detail=verdict.detail or None,
                attempts=push.attempt + 1,
                route_id=outcome.route.route_id,
            )
        case _:
            return None


def _tried(outcome: Answered) -> PushRow | None:
    """The row of a dry run: nothing was sent, whatever the push service responded."""
    if not _is_over(outcome.decision):
        return None
    push, verdict, batch = outcome.push, outcome.verdict, outcome.work.batch
    return PushRow(
        message_id=push.message_id,
        device_id=push.device_id,
        workspace_id=batch.workspace_id,
        person_id=push.person_id,
        generation=push.generation,
        ending=End.SKIPPED.value,
        reason="dry_run",
        provider=outcome.route.provider.value,
        provider_status=verdict.status,
        provider_reason=verdict.reason,
        detail=verdict.detail or None,
        attempts=push.attempt + 1,
        route_id=outcome.route.route_id,
    )


def _is_over(decision: Decision) -> bool:
    """Whether a push that was only tried is over: a verdict of it is not held, as it changes nothing."""
    return isinstance(decision, Settled) or (isinstance(decision, Held) and decision.reason.keeps_the_verdict)


def acceptance(outcome: PushResult) -> Acceptance | None:
    """The fact as nearly all are: accepted, and no more to it; None for any other."""
    if not isinstance(outcome, Answered) or outcome.decision != ACCEPTED or outcome.push.dry_run:
        return None
    push, verdict, batch = outcome.push, outcome.verdict, outcome.work.batch
    kind = AcceptanceGroup(
        push.message_id,
        batch.workspace_id,
        outcome.route.provider.value,
        verdict.status,
        verdict.reason,
        push.attempt + 1,
        outcome.route.route_id,
    )
    took = verdict.outcome
    provider_id = took.provider_id if isinstance(took, Accepted) else ""
    return Acceptance(kind, push.device_id, push.person_id, push.generation, provider_id)


def settlement(outcome: Answered) -> Settlement | None:
    """What a fact is to its device; None for all that is no device's doing."""
    if not isinstance(outcome.decision, Settled) or outcome.push.dry_run:
        return None
    event: SettleEvent
    if outcome.decision.end is End.ACCEPTED:
        event = SettleEvent.ACCEPTED
    elif outcome.decision.end is End.BOUNCED:
        event = SettleEvent.REFUSED
    elif outcome.decision.certainty is Certainty.STALE:
        event = SettleEvent.REFUSED_AS_STALE
    else:
        return None
    return Settlement(
        workspace_id=outcome.route.workspace_id,
        device_id=outcome.push.device_id,
        generation=outcome.push.generation,
        event=event,
        definite=outcome.decision.certainty is Certainty.DEFINITE,
        message_id=outcome.push.message_id,
        provider=outcome.route.provider.value,
        provider_status=outcome.verdict.status,
        provider_reason=outcome.verdict.reason,
        route_id=outcome.route.route_id,
    )


def held_verdict(outcome: PushResult) -> HeldVerdict | None:
    """The refusal that is kept aside; None for all that is not held for its verdict."""
    if not isinstance(outcome, Answered) or not isinstance(outcome.decision, Held) or outcome.push.dry_run:
        return None
    if not outcome.decision.reason.keeps_the_verdict:
        return None
    return HeldVerdict(
        message_id=outcome.push.message_id,
        device_id=outcome.push.device_id,
        workspace_id=outcome.work.batch.workspace_id,
        route_id=outcome.route.route_id,
        person_id=outcome.push.person_id,
        generation=outcome.push.generation,
        why=outcome.decision.reason.value,
        priority=outcome.work.batch.priority,
        attempt=outcome.push.attempt,
        first_attempt_at=outcome.work.batch.first_attempt_at,
        reason=outcome.verdict.code,
        provider=outcome.route.provider.value,
        provider_status=outcome.verdict.status,
        provider_reason=outcome.verdict.reason,
        detail=outcome.verdict.detail or None,
    )


def failed_attempt(outcome: PushResult) -> FailedAttempt | None:
    """The failed attempt that will be retried; None for anything else.

    A request that the push service did not process, because the connection was closing, is not an attempt.
    """
    if not isinstance(outcome, Answered) or outcome.push.dry_run:
        return None
    match outcome.decision:
        case Deferred(charged=charged) if charged or outcome.verdict.status is not None:
            pass
        case Held(reason=reason) if not reason.keeps_the_verdict:
            pass
        case _:
            return None
    return FailedAttempt(
        workspace_id=outcome.work.batch.workspace_id,
        message_id=outcome.push.message_id,
        person_id=outcome.push.person_id,
        reason=outcome.verdict.code,
        provider_status=outcome.verdict.status,
        provider_reason=outcome.verdict.reason,
        detail=outcome.verdict.detail or None,
    )


# Batch, attempts made, second it is due at, lane, and whether it takes a new slot.
_Group: TypeAlias = "tuple[int, int, float, RouteId, bool]"


def requeues(outcomes: Sequence[PushResult], now: datetime) -> list[Requeue]:
    """Pushes that are due again, gathered into batches that wait together in their lane."""
    groups: dict[_Group, list[PushResult]] = {}
    for outcome in outcomes:
        batch = outcome.work.batch
        match outcome:
            case Answered(decision=Deferred(due_at=due_at, charged=charged)):
                attempt, lane, takes_new_slot = batch.attempt + charged, outcome.route.route_id, False
            case Answered(decision=Held(reason=reason)) if not reason.keeps_the_verdict:
                attempt, lane, takes_new_slot, due_at = batch.attempt, outcome.route.route_id, False, now
            case SetAside(lane=lane, due_at=due_at):
                attempt, takes_new_slot = (
                    batch.attempt,
                    outcome.takes_new_slot and batch.has_slot and not batch.attempt,
                )
            case _:
                continue
        # One batch for each second: jitter would else make one of each push.
        second = math.ceil(due_at.timestamp()) if due_at > now else now.timestamp()
        key: _Group = (batch.claim.batch_id, attempt, float(second), lane, takes_new_slot)
        groups.setdefault(key, []).append(outcome)
    return [
        Requeue(
            batch=group[0].work.batch,
            targets=tuple((outcome.device_id, outcome.person_id) for outcome in group),
            due_at=datetime.fromtimestamp(second, tz=UTC),
            attempt=attempt,
            lane=lane,
            takes_new_slot=takes_new_slot,
        )
        for (_, attempt, second, lane, takes_new_slot), group in groups.items()
    ]
