"""The fleet guard: a wave of refusals that may be our own setting's fault is not believed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.delivery.refusal_guard import RefusalGuard, Result, Thresholds, Wave
from pushkeeper.core.model import DeviceId


def device(number: int) -> DeviceId:
    return DeviceId(number.to_bytes(16, "big"))


def seen(*results: tuple[Result, int], now: float = 0.0) -> RefusalGuard:
    """A guard with these counts, every response from another device."""
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


# So few that a window is soon full.
FEW = Thresholds(
    window_s=10.0,
    window_results=8,
    ambiguous_devices=2,
    ambiguous_share=0.25,
    above_norm=2.0,
    definite_devices=3,
    definite_share=0.5,
)
observed = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0, 1.0, 5.0, 11.0]), st.sampled_from(Result), st.integers(0, 4)),
    max_size=40,
)


@given(observed, st.sampled_from([0.0, 0.2, 0.4]))
def test_it_says_of_its_window_what_counting_says(
    happened: list[tuple[float, Result, int]], norm: float
) -> None:
    guard, now = RefusalGuard(FEW), 0.0
    window: list[tuple[float, Result, int]] = []
    for wait_s, result, number in happened:
        now += wait_s
        if result is Result.ACCEPTED:
            guard.observe_accepted(number, now)
        else:
            guard.observe(result, device(number), now)
        window += [(now, result, number)] * (number if result is Result.ACCEPTED else 1)
        window = [one for one in window[-8:] if one[0] >= now - 10.0]
    by = {result: [number for _, had, number in window if had is result] for result in Result}
    ambiguous, definite = by[Result.AMBIGUOUS], by[Result.DEFINITE]
    expected = None
    if len(set(definite)) >= 3 and len(definite) > 0.5 * len(window):
        expected = Wave.NOTICE
    if len(set(ambiguous)) >= 2 and len(ambiguous) > max(0.25, 2.0 * norm) * len(window):
        expected = Wave.HOLD
    assert guard.wave(norm) is expected


def test_it_remembers_two_hundred_results() -> None:
    guard = seen((Result.AMBIGUOUS, 41), (Result.ACCEPTED, 159))
    assert guard.wave(0.0) is Wave.HOLD
    guard.observe_accepted(1, 0.0)
    assert guard.wave(0.0) is None, "one of the 41 is forgotten, and 40 of 200 are a fifth"
    guard = seen((Result.AMBIGUOUS, 60), (Result.ACCEPTED, 140))
    guard.observe_accepted(10, 0.0)
    assert guard.wave(0.0) is Wave.HOLD, "50 are left"
    guard.observe_accepted(1_000, 0.0)
    assert guard.wave(0.0) is None
    guard.observe(Result.AMBIGUOUS, device(1), 700.0)
    assert guard.wave(0.0) is None
    assert len(guard._results) == 1, "what is old goes, however few there are"
