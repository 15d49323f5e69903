"""The decision on a push after each outcome: the Delivery and Delay columns of the decision table."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.delivery import retry
from pushkeeper.core.delivery.outcome import (
    Accepted,
    BadCredentials,
    BadMessage,
    Certainty,
    Heal,
    Jitter,
    Outcome,
    Refused,
    Scope,
    Silence,
    Throttled,
    Unanswered,
    Unavailable,
)
from pushkeeper.core.delivery.retry import (
    Attempt,
    Deferred,
    End,
    Guarantee,
    Held,
    Hold,
    Policy,
    Settled,
    decide,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FOUR_WEEKS = timedelta(weeks=4)

APPLE_OUTAGE = Unavailable(first_wait_s=900, longest_wait_s=math.inf, jitter=Jitter.FIFTH)
GOOGLE_OUTAGE = Unavailable(first_wait_s=10, longest_wait_s=600)

waits = st.none() | st.floats(0, 1e12)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Accepted),
    st.builds(Refused, certainty=st.sampled_from(Certainty)),
    st.builds(BadMessage),
    st.builds(BadCredentials, scope=st.sampled_from(Scope), heal=st.sampled_from(Heal)),
    st.builds(Throttled, scope=st.sampled_from(Scope), after_s=waits),
    st.builds(
        Unavailable,
        first_wait_s=st.floats(0, 3600),
        longest_wait_s=st.floats(0, 1e6) | st.just(math.inf),
        after_s=waits,
        at_once_first=st.booleans(),
        opening_wait_s=waits,
        jitter=st.sampled_from(Jitter),
    ),
    st.builds(Unanswered, silence=st.sampled_from(Silence)),
)
attempts = st.builds(
    lambda number, age_s, left_s: Attempt(
        number=number,
        ended_at=NOON,
        first_at=NOON - timedelta(seconds=age_s),
        expires_at=NOON + timedelta(seconds=left_s),
    ),
    number=st.integers(0, 100_000),
    age_s=st.floats(0, 1e6),
    left_s=st.floats(-1e4, 2_419_200),
)
policies = st.builds(
    Policy,
    retry_for_s=st.none() | st.floats(0, 1e5),
    guarantee=st.sampled_from(Guarantee),
)
jitters = st.floats(0, 1, exclude_max=True)


def after(
    outcome: Outcome,
    *,
    number: int = 0,
    jitter: float = 0.0,
    policy: Policy = retry.APNS,
    route_accepted: bool = True,
    expires_in: timedelta = FOUR_WEEKS,
) -> retry.Decision:
    attempt = Attempt(number=number, ended_at=NOON, first_at=NOON, expires_at=NOON + expires_in)
    return decide(outcome, attempt, policy=policy, jitter=jitter, route_accepted=route_accepted)


def wait_s(decision: retry.Decision) -> float:
    assert isinstance(decision, Deferred)
    return (decision.due_at - NOON).total_seconds()


@given(outcomes, attempts, policies, jitters, st.booleans())
def test_every_outcome_is_decided_and_no_retry_is_due_in_the_past_or_at_the_deadline(
    outcome, attempt, policy, jitter, route_accepted
):
    decision = decide(outcome, attempt, policy=policy, jitter=jitter, route_accepted=route_accepted)
    match decision:
        case Deferred():
            assert NOON <= decision.due_at < policy.deadline(attempt)
        case Held():
            assert attempt.expires_at > NOON
        case Settled():
            assert (decision.end is End.ACCEPTED) == isinstance(outcome, Accepted)
            assert decision.certainty in {None, getattr(outcome, "certainty", None)}


@given(outcomes, attempts, policies, jitters, jitters, st.booleans())
def test_chance_moves_the_time_of_a_retry_and_decides_nothing_else(
    outcome, attempt, policy, one, other, route_accepted
):
    first, second = (
        decide(outcome, attempt, policy=policy, jitter=jitter, route_accepted=route_accepted)
        for jitter in (one, other)
    )
    if first != second:
        for decision in (first, second):
            if isinstance(decision, Deferred):
                assert decision.charged, "what is tried again at once, uncharged, is not drawn by lot"
            else:
                assert decision == Settled(end=End.EXPIRED)


@given(
    st.floats(0, 86_400),
    jitters,
    st.integers(0, 30),
    st.sampled_from([Throttled(scope=Scope.DEVICE), GOOGLE_OUTAGE, APPLE_OUTAGE]),
)
def test_no_wait_is_shorter_than_the_retry_after_that_the_provider_gave(after_s, jitter, number, kind):
    match kind:
        case Throttled():
            outcome: Outcome = Throttled(scope=kind.scope, after_s=after_s)
        case Unavailable():
            outcome = Unavailable(
                first_wait_s=kind.first_wait_s,
                longest_wait_s=kind.longest_wait_s,
                jitter=kind.jitter,
                after_s=after_s,
            )
    decision = after(outcome, number=number, jitter=jitter)
    if isinstance(decision, Deferred):
        assert decision.due_at >= NOON + timedelta(seconds=after_s)
    else:
        assert decision == Settled(end=End.EXPIRED)


@given(
    st.sampled_from([Throttled(scope=Scope.DEVICE), GOOGLE_OUTAGE, APPLE_OUTAGE]),
    st.lists(jitters, min_size=1),
)
def test_however_the_jitter_falls_an_hour_holds_no_more_than_one_attempt_each_ten_seconds(outcome, draws):
    now = NOON
    for number, jitter in zip(range(361), itertools.cycle(draws), strict=False):
        attempt = Attempt(number=number, ended_at=now, first_at=NOON, expires_at=NOON + FOUR_WEEKS)
        decision = decide(outcome, attempt, policy=retry.FCM, jitter=jitter, route_accepted=True)
        if decision == Settled(end=End.EXPIRED):
            return
        assert isinstance(decision, Deferred)
        assert decision.due_at > now
        now = decision.due_at
    pytest.fail("still retrying")


@given(
    st.floats(0, 3600),
    st.floats(0, 1e5) | st.just(math.inf),
    st.integers(0, 100),
    jitters,
)
def test_an_outage_waits_its_first_wait_at_least_and_its_longest_at_most(first_s, longest_s, number, jitter):
    outage = Unavailable(first_wait_s=first_s, longest_wait_s=longest_s)
    decision = after(outage, number=number, jitter=jitter)
    if isinstance(decision, Deferred):
        assert round(first_s, 6) <= wait_s(decision) <= round(max(first_s, longest_s), 6)
    else:
        assert longest_s >= FOUR_WEEKS.total_seconds()


@given(
    st.builds(BadCredentials, scope=st.sampled_from(Scope), heal=st.sampled_from(Heal)),
    attempts,
    policies,
    jitters,
)
def test_credentials_that_too_few_doubt_are_tried_again_after_a_minute_and_not_charged(
    outcome, attempt, policy, jitter
):
    decision = decide(outcome, attempt, policy=policy, jitter=jitter, route_accepted=True, believed=False)
    due_at = NOON + timedelta(minutes=1)
    in_time = due_at < policy.deadline(attempt)
    assert decision == (Deferred(due_at=due_at, charged=False) if in_time else Settled(end=End.EXPIRED))


@given(outcomes, attempts, policies, jitters)
def test_only_a_definite_or_a_proven_refusal_bounces(outcome, attempt, policy, jitter):
    decision = decide(outcome, attempt, policy=policy, jitter=jitter, route_accepted=False)
    bounced = isinstance(decision, Settled) and decision.end is End.BOUNCED
    assert bounced == (outcome == Refused(certainty=Certainty.DEFINITE))


def test_an_accepted_push_is_settled_as_accepted():
    assert after(Accepted()) == Settled(end=End.ACCEPTED)


def test_a_bad_message_fails_and_is_not_tried_again():
    assert after(BadMessage()) == Settled(end=End.FAILED)


def test_a_definite_refusal_bounces_at_once_even_on_a_route_without_a_success():
    decision = after(Refused(certainty=Certainty.DEFINITE), route_accepted=False)
    assert decision == Settled(end=End.BOUNCED, certainty=Certainty.DEFINITE)


def test_an_ambiguous_refusal_bounces_only_once_the_route_has_accepted_something():
    outcome = Refused(certainty=Certainty.AMBIGUOUS)
    assert after(outcome) == Settled(end=End.BOUNCED, certainty=Certainty.AMBIGUOUS)
    assert after(outcome, route_accepted=False) == Held(scope=Scope.CREDENTIAL, reason=Hold.UNPROVEN)


def test_a_refusal_older_than_the_registration_fails_the_push_without_a_bounce():
    decision = after(Refused(certainty=Certainty.STALE))
    assert decision == Settled(end=End.FAILED, certainty=Certainty.STALE)


def test_a_hold_for_a_refusal_keeps_the_answer_and_any_other_sends_the_push_again():
    assert [hold for hold in Hold if hold.keeps_the_verdict] == [Hold.UNPROVEN, Hold.GUARDED]


def test_bad_credentials_hold_the_push_and_say_when_to_probe():
    outcome = BadCredentials(scope=Scope.TOPIC, probe_after_s=60)
    assert after(outcome) == Held(scope=Scope.TOPIC, reason=Hold.CREDENTIALS, probe_after_s=60)


@pytest.mark.parametrize("heal", [Heal.RENEW_TOKEN, Heal.RECONNECT])
def test_credentials_that_heal_are_tried_once_more_at_once_and_then_held(heal):
    outcome = BadCredentials(scope=Scope.CREDENTIAL, heal=heal)
    assert after(outcome) == Deferred(due_at=NOON)
    assert isinstance(after(outcome, number=1), Held)


def test_a_throttled_push_waits_a_minute_then_twice_as_long_each_time_with_full_jitter():
    outcome = Throttled(scope=Scope.DEVICE)
    for number, grown_s in enumerate([120, 240, 480]):
        assert wait_s(after(outcome, number=number)) == 60
        assert wait_s(after(outcome, number=number, jitter=0.5)) == 60 + (grown_s - 60) / 2


def test_an_outage_at_google_waits_ten_seconds_growing_to_ten_minutes():
    assert wait_s(after(GOOGLE_OUTAGE)) == 10
    assert wait_s(after(GOOGLE_OUTAGE, jitter=0.5)) == 15
    assert wait_s(after(GOOGLE_OUTAGE, number=20, jitter=0.999)) == pytest.approx(600, abs=1)


def test_an_outage_at_apple_waits_fifteen_minutes_give_or_take_a_fifth_and_doubles():
    assert wait_s(after(APPLE_OUTAGE)) == 720
    assert wait_s(after(APPLE_OUTAGE, jitter=0.5)) == 900
    assert wait_s(after(APPLE_OUTAGE, number=1, jitter=0.5)) == 1800
    assert wait_s(after(APPLE_OUTAGE, number=3, jitter=0.999)) == pytest.approx(8640, abs=10)


def test_the_first_wait_may_be_longer_than_those_after_it():
    bad_gateway = Unavailable(first_wait_s=10, longest_wait_s=600, opening_wait_s=30)
    assert wait_s(after(bad_gateway)) == 30
    assert wait_s(after(bad_gateway, number=1)) == 10


def test_a_host_that_shuts_down_is_left_at_once_and_only_once():
    shutdown = Unavailable(first_wait_s=900, longest_wait_s=math.inf, at_once_first=True, jitter=Jitter.FIFTH)
    assert after(shutdown) == Deferred(due_at=NOON)
    assert wait_s(after(shutdown, number=1, jitter=0.5)) == 1800
    assert wait_s(after(msgspec.structs.replace(shutdown, after_s=7))) == 7, "unless it says when to return"


@pytest.mark.parametrize("silence", [Silence.NOT_PROCESSED, Silence.NO_STREAM])
def test_a_request_that_was_not_looked_at_goes_again_at_once_and_is_not_charged(silence):
    for number in (0, 7):
        assert after(Unanswered(silence=silence), number=number) == Deferred(due_at=NOON, charged=False)


def test_an_idled_out_connection_is_replaced_at_once_and_only_once():
    idled_out = Unanswered(silence=Silence.IDLED_OUT)
    assert after(idled_out) == Deferred(due_at=NOON)
    assert wait_s(after(idled_out, number=1)) == 1


def test_an_unreachable_network_is_tried_again_after_seconds_growing_to_a_minute():
    not_sent = Unanswered(silence=Silence.NOT_SENT)
    assert wait_s(after(not_sent, jitter=0.5)) == 1.5
    assert wait_s(after(not_sent, number=30, jitter=0.999)) == pytest.approx(60, abs=0.1)


def test_a_server_that_is_not_trusted_holds_the_push():
    decision = after(Unanswered(silence=Silence.UNTRUSTED))
    assert decision == Held(scope=Scope.ENDPOINT, reason=Hold.UNTRUSTED)


def test_a_garbled_success_is_tried_once_more_and_then_unknown():
    garbled = Unanswered(silence=Silence.GARBLED)
    assert isinstance(after(garbled), Deferred)
    assert after(garbled, number=1) == Settled(end=End.UNKNOWN)


@pytest.mark.parametrize("silence", [Silence.LOST, Silence.TIMED_OUT])
def test_a_lost_answer_is_sent_again_or_left_unknown_as_the_message_prefers(silence):
    outcome = Unanswered(silence=silence)
    at_most_once = Policy(guarantee=Guarantee.AT_MOST_ONCE)
    assert isinstance(after(outcome), Deferred)
    assert after(outcome, policy=at_most_once) == Settled(end=End.UNKNOWN)


@pytest.mark.parametrize(
    ("policy", "seconds", "expected"),
    [(retry.FCM, 49, Deferred), (retry.FCM, 50, Settled), (retry.APNS, 50, Deferred)],
)
def test_fcm_is_given_up_within_an_hour_of_the_first_attempt(policy, seconds, expected):
    attempt = Attempt(
        number=9,
        ended_at=NOON,
        first_at=NOON - timedelta(minutes=59, seconds=seconds),
        expires_at=NOON + FOUR_WEEKS,
    )
    decision = decide(GOOGLE_OUTAGE, attempt, policy=policy, jitter=0.0, route_accepted=True)
    assert isinstance(decision, expected)


@pytest.mark.parametrize(
    "outcome",
    [
        GOOGLE_OUTAGE,
        Throttled(scope=Scope.DEVICE),
        BadCredentials(scope=Scope.CREDENTIAL),
        Refused(certainty=Certainty.AMBIGUOUS),
        Unanswered(silence=Silence.NOT_PROCESSED),
        Unanswered(silence=Silence.UNTRUSTED),
    ],
)
def test_a_message_past_its_end_is_neither_retried_nor_held(outcome):
    decision = after(outcome, expires_in=timedelta(0), route_accepted=False)
    assert decision == Settled(end=End.EXPIRED)


def test_a_wait_that_rounds_up_to_the_deadline_expires_the_push():
    almost = Throttled(scope=Scope.DEVICE, after_s=3599.9999999)
    assert after(almost, expires_in=timedelta(hours=1)) == Settled(end=End.EXPIRED)


def test_a_retry_after_longer_than_dates_reach_expires_the_push():
    assert after(Throttled(scope=Scope.DEVICE, after_s=1e300)) == Settled(end=End.EXPIRED)
