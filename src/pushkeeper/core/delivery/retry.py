"""What to do with a push once its outcome is known: settle it, retry it at a time, or hold it.

Arithmetic only: the caller passes the time and the jitter, and acts on the decision. The waits are those of the
decision table, with the providers' own minimums: Google asks for at least 10 s after a 5xx and 60 s after a 429, so
that full jitter spreads between the first wait and the grown one, not from zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, assert_never

import msgspec

from pushkeeper.core.delivery.outcome import (
    Accepted,
    BadCredentials,
    BadMessage,
    Certainty,
    Heal,
    Jitter,
    Refused,
    Scope,
    Silence,
    Throttled,
    Unanswered,
    Unavailable,
)
from pushkeeper.core.model import Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushkeeper.core.delivery.outcome import Outcome

_THROTTLED_FIRST_S = 60.0
_DOUBTED_S = 60.0
_NETWORK_FIRST_S = 1.0
_NETWORK_LONGEST_S = 60.0
_DOUBLINGS = 40
_FIFTH = 0.2


class End(StrEnum):
    """How a push ended; nothing takes it out of an end."""

    ACCEPTED = "accepted"  # the provider took it
    BOUNCED = "bounced"  # the provider refused it because of the device: a strike
    FAILED = "failed"  # the message's fault, or a refusal older than the registration
    EXPIRED = "expired"  # its deadline passed, or would pass before the next attempt
    UNKNOWN = "unknown"  # it was sent, the answer was lost, and it may not be sent twice
    SKIPPED = (
        "skipped"  # put there by the sender before any attempt: suppressed, moved, deleted, unsubscribed
    )


class Guarantee(StrEnum):
    """What a message prefers when an answer is lost after the request was sent."""

    AT_LEAST_ONCE = "at_least_once"  # send again: a repeat replaces itself on the phone
    AT_MOST_ONCE = "at_most_once"  # leave it unknown


class Hold(StrEnum):
    """Why a push is held."""

    CREDENTIALS = "credentials"  # the route's key, topic or project is refused; an operator's change frees it
    UNTRUSTED = "untrusted"  # the peer is not the provider: interception, or a clock far off
    UNPROVEN = "unproven"  # a refusal that may be our setting's fault, on a route that has accepted nothing
    GUARDED = "guard"  # such a rejection in a wave of them: an operator decides on the cause

    @property
    def keeps_the_verdict(self) -> bool:
        """Whether the response is kept, to be applied or discarded; otherwise the push is sent again."""
        return self in {Hold.UNPROVEN, Hold.GUARDED}


class Settled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The push is over. `certainty` is that of the refusal, where there was one."""

    end: End
    certainty: Certainty | None = None


class Deferred(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Try again at `due_at`; an attempt that the provider did not look at is not `charged`."""

    due_at: datetime
    charged: bool = True


class Held(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Wait for the scope to be well again; `probe_after_s` is when one probe may ask, None when only people can help."""

    scope: Scope
    reason: Hold
    probe_after_s: float | None = None


Decision: TypeAlias = Settled | Deferred | Held

ACCEPTED = Settled(end=End.ACCEPTED)


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The attempt that has just ended.

    Attributes:
        number: attempts charged before this one: 0 for the first, as `Push.attempt`.
        ended_at: now.
        first_at: when the first attempt of this push began.
        expires_at: when the message is no longer worth sending.
    """

    number: int
    ended_at: datetime
    first_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a route and its operator allow; `retry_for_s` counts from the first attempt, None for no limit of its own."""

    retry_for_s: float | None = None
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE

    def deadline(self, attempt: Attempt) -> datetime:
        """When retrying ends: the message's own end, or sooner."""
        if self.retry_for_s is None:
            return attempt.expires_at
        return min(attempt.expires_at, attempt.first_at + timedelta(seconds=self.retry_for_s))


APNS = Policy()
FCM = Policy(retry_for_s=3600.0)  # scale-fcm: give a request up within 60 minutes
WEBPUSH = Policy()
POLICIES: Mapping[Provider, Policy] = {Provider.APNS: APNS, Provider.FCM: FCM, Provider.WEBPUSH: WEBPUSH}


def decide(
    outcome: Outcome,
    attempt: Attempt,
    *,
    policy: Policy,
    jitter: float,
    route_accepted: bool,
    believed: bool = True,
) -> Decision:
    """What to do next, for every outcome (decision table of the provider contract, columns Delivery and Sender).

    `jitter` is in [0, 1). `route_accepted` says that the same route has accepted a push since its settings last changed:
    without that an ambiguous refusal proves nothing against the device (self-evidence rule). `believed` is False while
    too few have said what would pause the route (`BadCredentials.believed_from`).
    """
    if isinstance(outcome, Accepted):
        return ACCEPTED
    clock = _Clock(attempt, policy.deadline(attempt), jitter)
    decision: Decision
    match outcome:
        case Refused():
            decision = _after_refusal(outcome, clock, route_accepted=route_accepted)
        case BadMessage():
            decision = Settled(end=End.FAILED)
        case BadCredentials():
            decision = _after_bad_credentials(outcome, clock, believed=believed)
        case Throttled():
            decision = clock.retry(clock.full(_THROTTLED_FIRST_S, math.inf), at_least_s=outcome.after_s)
        case Unavailable():
            decision = _after_outage(outcome, clock)
        case Unanswered():
            decision = _after_silence(outcome.silence, clock, policy.guarantee)
        case _:
            assert_never(outcome)
    return decision


class _Clock(msgspec.Struct, frozen=True, gc=False):
    attempt: Attempt
    deadline: datetime
    jitter: float

    @property
    def opening(self) -> bool:
        return self.attempt.number == 0

    def retry(self, wait_s: float, *, at_least_s: float | None = None, charged: bool = True) -> Decision:
        wait_s = max(wait_s, at_least_s or 0.0)
        # Seconds are compared before a date is made of them, as a wait may be longer than dates reach; and the date
        # later, as times are rounded to microseconds.
        if wait_s >= (self.deadline - self.attempt.ended_at).total_seconds():
            return Settled(end=End.EXPIRED)
        due_at = self.attempt.ended_at + timedelta(seconds=wait_s)
        return (
            Deferred(due_at=due_at, charged=charged) if due_at < self.deadline else Settled(end=End.EXPIRED)
        )

    def hold(self, held: Held) -> Decision:
        if self.attempt.ended_at >= self.attempt.expires_at:
            return Settled(end=End.EXPIRED)
        return held

    def full(self, first_s: float, longest_s: float) -> float:
        grown_s = self._grown(first_s, self.attempt.number + 1, longest_s)
        return first_s + self.jitter * max(grown_s - first_s, 0.0)

    def fifth(self, first_s: float, longest_s: float) -> float:
        grown_s = self._grown(first_s, self.attempt.number, longest_s)
        return grown_s * (1.0 - _FIFTH + 2.0 * _FIFTH * self.jitter)

    @staticmethod
    def _grown(first_s: float, doublings: int, longest_s: float) -> float:
        return min(first_s * float(2 ** min(doublings, _DOUBLINGS)), longest_s)


def _after_refusal(refused: Refused, clock: _Clock, *, route_accepted: bool) -> Decision:
    match refused.certainty:
        case Certainty.DEFINITE:
            return Settled(end=End.BOUNCED, certainty=refused.certainty)
        case Certainty.STALE:
            return Settled(end=End.FAILED, certainty=refused.certainty)
        case Certainty.AMBIGUOUS:
            if route_accepted:
                return Settled(end=End.BOUNCED, certainty=refused.certainty)
            return clock.hold(Held(scope=Scope.CREDENTIAL, reason=Hold.UNPROVEN))
        case _:
            assert_never(refused.certainty)


def _after_bad_credentials(bad: BadCredentials, clock: _Clock, *, believed: bool) -> Decision:
    if not believed:
        return clock.retry(_DOUBTED_S, charged=False)
    if bad.heal is not Heal.BY_OPERATOR and clock.opening:
        return clock.retry(0.0)
    return clock.hold(Held(scope=bad.scope, reason=Hold.CREDENTIALS, probe_after_s=bad.probe_after_s))


def _after_outage(outage: Unavailable, clock: _Clock) -> Decision:
    if clock.opening and outage.at_once_first:
        return clock.retry(0.0, at_least_s=outage.after_s)
    match outage.jitter:
        case Jitter.FULL:
            wait_s = clock.full(outage.first_wait_s, outage.longest_wait_s)
        case Jitter.FIFTH:
            wait_s = clock.fifth(outage.first_wait_s, outage.longest_wait_s)
        case _:
            assert_never(outage.jitter)
    if clock.opening and outage.opening_wait_s is not None:
        wait_s = max(wait_s, outage.opening_wait_s)
    return clock.retry(wait_s, at_least_s=outage.after_s)


def _after_silence(silence: Silence, clock: _Clock, guarantee: Guarantee) -> Decision:
    again = clock.retry(clock.full(_NETWORK_FIRST_S, _NETWORK_LONGEST_S))
    decision: Decision
    match silence:
        case Silence.NOT_PROCESSED | Silence.NO_STREAM:
            decision = clock.retry(0.0, charged=False)
        case Silence.IDLED_OUT:
            decision = clock.retry(0.0) if clock.opening else again
        case Silence.NOT_SENT:
            decision = again
        case Silence.UNTRUSTED:
            decision = clock.hold(Held(scope=Scope.ENDPOINT, reason=Hold.UNTRUSTED))
        case Silence.GARBLED:
            decision = again if clock.opening else Settled(end=End.UNKNOWN)
        case Silence.LOST | Silence.TIMED_OUT:
            at_most_once = guarantee is Guarantee.AT_MOST_ONCE
            decision = Settled(end=End.UNKNOWN) if at_most_once else again
        case _:
            assert_never(silence)
    return decision
