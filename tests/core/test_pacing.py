"""How fast a route may go: arithmetic over a clock that the test brings."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.delivery import rate_limit
from pushkeeper.core.delivery.rate_limit import Breaker, Bucket, DevicePace, Phase, RetryBudget, Tally
from pushkeeper.core.model import DeviceId, Token, WorkspaceId, device_id

NOON = 1_000_000.0 * 3600  # the beginning of an hour


def test_fcm_takes_600_000_a_minute_of_a_project() -> None:
    assert rate_limit.FCM_PER_S * 60 == 600_000


def test_a_cold_start_rises_in_a_line_from_a_floor_to_the_whole_limit() -> None:
    found = [rate_limit.ramped(10_000.0, 60.0, warm_for_s) for warm_for_s in (0.0, 30.0, 60.0, 1e9)]
    assert found == [100.0, 5_000.0, 10_000.0, 10_000.0]
    assert rate_limit.ramped(50.0, 60.0, 0.0) == 50.0, "a limit below the floor is kept"
    assert rate_limit.ramped(10_000.0, 0.0, 0.0) == 10_000.0, "a ramp of nothing is none"


@given(st.floats(1, 1e6), st.floats(0, 3600), st.floats(0, 1e6), st.floats(0, 1e6))
def test_warming_up_never_slows_down_and_never_passes_the_limit(
    limit: float, ramp_s: float, first: float, second: float
) -> None:
    sooner, later = sorted((first, second))
    assert rate_limit.ramped(limit, ramp_s, sooner) <= rate_limit.ramped(limit, ramp_s, later) <= limit


def test_what_was_halved_is_whole_again_after_two_and_a_half_minutes() -> None:
    assert rate_limit.recovered(50.0, 0.0) == 50.0
    assert rate_limit.recovered(50.0, 10.0) == pytest.approx(52.5)
    assert rate_limit.recovered(50.0, 142.0) < 100.0 < rate_limit.recovered(50.0, 143.0)


@given(st.floats(0.1, 1e6), st.floats(-1e12, 0) | st.floats(0, 1e12))
def test_what_was_slowed_down_recovers_without_end_and_never_falls_below(
    slowed: float, since_s: float
) -> None:
    found = rate_limit.recovered(slowed, since_s)
    assert slowed <= found < math.inf
    assert found == slowed or since_s > 0


def test_a_bucket_gives_its_rate_and_no_more_than_a_second_of_it() -> None:
    bucket = Bucket()
    assert not bucket.take(), "nothing has come yet"
    bucket.fill(100.0, 0.0)
    assert bucket.tokens == 10.0
    bucket.fill(100.0, 0.5)
    assert bucket.tokens == 60.0
    bucket.fill(100.0, 100.0)
    assert sum(bucket.take() for _ in range(1000)) == 100


def test_a_bucket_of_less_than_one_a_second_begins_with_one_and_keeps_one() -> None:
    bucket = Bucket()
    bucket.fill(0.1, 0.0)
    assert (bucket.take(), bucket.take()) == (True, False)
    bucket.fill(0.1, 9.0)
    assert not bucket.take()
    bucket.fill(0.1, 1_000.0)
    assert (bucket.take(), bucket.take()) == (True, False)


@given(st.integers(1, 1_000), st.integers(0, 5_000))
def test_a_bucket_is_empty_for_as_long_as_it_says(per_s: int, owed: int) -> None:
    bucket = Bucket()
    bucket.fill(per_s, 0.0)
    had = bucket.tokens
    bucket.owe(owed)
    assert bucket.tokens == had - owed
    empty_s = bucket.empty_for_s(per_s)
    if owed <= had - 1:
        assert empty_s == 0.0
        assert bucket.take()
        return
    assert empty_s == pytest.approx((1 - had + owed) / per_s)
    bucket.fill(per_s, empty_s - 0.001 / per_s)
    assert not bucket.take()
    bucket.fill(per_s, empty_s + 0.001 / per_s)
    assert bucket.take()


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 9)), max_size=60))
def test_a_tally_counts_what_is_of_its_span_give_or_take_a_step(steps: list[tuple[float, int]]) -> None:
    tally, now, counted = Tally(10.0), 0.0, []
    for wait_s, count in steps:
        now += wait_s
        tally.add(count, now)
        counted.append((now, count))
        surely = sum(n for at, n in counted if now - at <= 10.0 - 1.0)
        perhaps = sum(n for at, n in counted if now - at <= 10.0 + 1.0)
        assert surely <= tally.total(now) <= perhaps


def test_a_tally_is_as_large_as_its_steps_and_not_as_what_it_counts() -> None:
    tally = Tally(10.0)
    for hundredths in range(1_000):
        tally.add(1, hundredths / 100)
    assert tally.total(9.99) == 1_000
    assert len(tally._counts) == 10


def test_retries_are_a_tenth_of_first_sends_with_a_floor_of_ten_a_second() -> None:
    budget = RetryBudget()
    for _ in range(1_000):
        budget.sent(0.0)
    assert sum(budget.take(0.0) for _ in range(1_000)) == 101, "a tenth, and the first of the floor"
    later = sum(budget.take(0.5) for _ in range(1_000))
    assert later == 5
    a_minute_on = RetryBudget()
    for _ in range(1_000):
        a_minute_on.sent(0.0)
    assert all(a_minute_on.take(65.9) for _ in range(5)), "a minute, and a tenth of it"
    assert [a_minute_on.take(66.0) for _ in range(2)] == [True, False], "of the floor alone"
    idle = RetryBudget()
    a_minute = sum(idle.take(float(second)) for second in range(1, 61) for _ in range(100))
    assert a_minute == pytest.approx(600, rel=0.05)


def test_a_breaker_opens_at_half_of_twenty_and_lets_one_through_after_ten_seconds() -> None:
    breaker = Breaker()
    breaker.record_good(10, 0.0)
    assert not any(breaker.record_bad(0.0) for _ in range(9))
    assert breaker.record_bad(0.0)
    assert (breaker.phase(9.9), breaker.phase(10.0)) == (Phase.OPEN, Phase.HALF_OPEN)
    assert not breaker.record_bad(5.0), "what was under way says nothing new"
    assert breaker.record_bad(10.0)
    assert (breaker.phase(29.9), breaker.phase(30.0)) == (Phase.OPEN, Phase.HALF_OPEN)
    breaker.record_good(1, 30.0)
    assert breaker.phase(30.0) is Phase.CLOSED
    assert not breaker.record_bad(30.0), "it begins with a clean slate"


def test_an_open_breaker_is_closed_by_the_one_that_it_lets_through_alone() -> None:
    breaker = Breaker()
    assert [breaker.record_bad(0.0) for _ in range(20)] == [False] * 19 + [True], "20 at least"
    breaker.record_good(100, 9.9)
    assert breaker.phase(9.9) is Phase.OPEN, "what was under way when it opened says nothing new"
    breaker.record_good(1, 10.0)
    assert breaker.phase(10.0) is Phase.CLOSED
    assert [breaker.record_bad(10.0) for _ in range(20)] == [False] * 19 + [True]
    assert breaker.phase(19.9) is Phase.OPEN
    assert breaker.phase(20.0) is Phase.HALF_OPEN, "and begins with ten seconds"


def test_a_few_failures_among_many_answers_open_nothing() -> None:
    breaker = Breaker()
    breaker.record_good(100, 0.0)
    assert not any(breaker.record_bad(0.0) for _ in range(99))
    apart = Breaker()
    assert not any(apart.record_bad(20.0 * n) for n in range(100)), "nor do failures far apart"


@pytest.mark.parametrize(("later_s", "opens"), [(10.0, True), (11.0, False)])
def test_failures_count_together_within_ten_seconds_give_or_take_one(later_s: float, opens: bool) -> None:  # noqa: FBT001
    breaker = Breaker()
    assert not any(breaker.record_bad(0.0) for _ in range(19))
    assert breaker.record_bad(later_s) == opens


def test_an_open_breaker_waits_ten_minutes_at_most() -> None:
    breaker, now = Breaker(), 0.0
    for _ in range(20):
        breaker.record_bad(now)
    for _ in range(50):
        now = breaker.open_until
        assert breaker.record_bad(now)
    assert breaker.open_until - now == 600.0


def test_a_device_gets_120_a_minute_and_2500_an_hour() -> None:
    pace, device, other = DevicePace(), DeviceId(b"d" * 16), DeviceId(b"e" * 16)
    assert [pace.wait_s(device, NOON + 15.0) for _ in range(121)] == [0.0] * 120 + [45.0]
    assert pace.wait_s(device, NOON + 59.0) == 1.0
    assert pace.wait_s(other, NOON + 15.0) == 0.0
    sent = sum(
        pace.wait_s(device, NOON + 60.0 * minute) == 0.0 for minute in range(1, 60) for _ in range(130)
    )
    assert sent == 2_500 - 120
    assert pace.wait_s(device, NOON + 3_540.0) == 60.0
    assert pace.wait_s(device, NOON + 3_599.5) == 0.5
    assert pace.wait_s(device, NOON + 3_600.0) == 0.0


def test_devices_do_not_slow_each_other_down() -> None:
    pace = DevicePace()
    fleet = [device_id(WorkspaceId(1), Token(f"token {number}")) for number in range(1_000)]
    assert {pace.wait_s(device, NOON) for device in fleet} == {0.0}
