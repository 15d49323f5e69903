"""The fleet guard: a wave of refusals that may be our own setting's fault is not believed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.delivery.refusal_guard import RefusalGuard, Result, Wave
from pushkeeper.core.model import DeviceId


def device(number: int) -> DeviceId:
    return DeviceId(number.to_bytes(16, "big"))


def seen(*results: tuple[Result, int], now: float = 0.0) -> RefusalGuard:
    """A guard that has seen so many of each, every one of another device."""
    guard, number = RefusalGuard(), 0
    for result, count in results:
        for _ in range(count):
            number += 1
            if result is Result.ACCEPTED:
                guard.observe_accepted(1, now)
            else:
                guard.observe(result, device(number), now)
    return guard


def test_twenty_devices_that_are_over_a_fifth_of_the_answers_are_a_wave() -> None:
    assert seen((Result.AMBIGUOUS, 19)).wave(0.0) is None
    assert seen((Result.AMBIGUOUS, 20)).wave(0.0) is Wave.HOLD
    assert seen((Result.ACCEPTED, 80), (Result.AMBIGUOUS, 20)).wave(0.0) is None
    assert seen((Result.ACCEPTED, 79), (Result.AMBIGUOUS, 21)).wave(0.0) is Wave.HOLD


def test_what_is_usual_for_a_route_is_no_wave() -> None:
    guard = seen((Result.ACCEPTED, 70), (Result.AMBIGUOUS, 30))
    assert guard.wave(0.05) is Wave.HOLD
    assert guard.wave(0.06) is None


def test_one_device_that_is_refused_often_is_no_wave() -> None:
    guard = RefusalGuard()
    for _ in range(100):
        guard.observe(Result.AMBIGUOUS, device(1), 0.0)
    assert guard.wave(0.0) is None


def test_many_that_are_surely_gone_are_told_and_not_held() -> None:
    assert seen((Result.DEFINITE, 99)).wave(0.0) is None
    assert seen((Result.DEFINITE, 100)).wave(0.0) is Wave.NOTICE
    assert seen((Result.ACCEPTED, 100), (Result.DEFINITE, 100)).wave(0.0) is None


def test_what_is_ten_minutes_old_is_forgotten() -> None:
    guard = seen((Result.AMBIGUOUS, 30))
    guard.observe(Result.OTHER, device(99), 600.0)
    assert guard.wave(0.0) is Wave.HOLD
    guard.observe(Result.OTHER, device(99), 600.1)
    assert guard.wave(0.0) is None


results = st.lists(st.tuples(st.sampled_from(Result), st.integers(0, 300)), max_size=500)


@given(results)
def test_it_remembers_two_hundred_results_and_says_of_them_what_counting_says(
    observed: list[tuple[Result, int]],
) -> None:
    guard = RefusalGuard()
    for result, number in observed:
        if result is Result.ACCEPTED:
            guard.observe_accepted(1, 0.0)
        else:
            guard.observe(result, device(number), 0.0)
    window = observed[-200:]
    ambiguous = [number for result, number in window if result is Result.AMBIGUOUS]
    holds = len(set(ambiguous)) >= 20 and len(ambiguous) > 0.2 * len(window)
    assert (guard.wave(0.0) is Wave.HOLD) == holds
