"""Results of broadcasts: rates with honest denominators, one status, and orders."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.broadcasts.forecast import RenderCheck
from pushkeeper.core.broadcasts.progress import Audience, audience_size
from pushkeeper.core.broadcasts.results import Rank, Results, Status, StatusInput, add_up, ranked, status_of

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
COUNTS = st.builds(Results, **{name: st.integers(0, 50) for name in Results.__struct_fields__})


def status(state, results, *, planned=0, due_at=None):
    return status_of(StatusInput(now=NOW, state=state, planned=planned, due_at=due_at), results)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (Results(), "no_recipients"),
        (Results(skipped=3), "sent"),
        (Results(accepted=5, bounced=1), "sent"),
        (Results(accepted=5, failed=1), "sent_with_errors"),
        (Results(accepted=5, expired=1), "sent_with_errors"),
        (Results(accepted=5, unknown=1), "sent_with_errors"),
        (Results(failed=831, skipped=99), "failed"),
        (Results(bounced=2, failed=1), "failed"),
    ],
)
def test_a_broadcast_that_is_over_has_the_status_of_its_results(results, expected):
    assert status("sent", results) == expected


@pytest.mark.parametrize("state", ["draft", "scheduled", "paused", "stopped", "cancelled", "failed"])
def test_any_other_state_is_shown_as_it_is(state):
    assert status(state, Results(failed=3)) == state


def test_one_by_local_time_is_scheduled_until_a_device_is_due():
    later = NOW + timedelta(hours=5)
    assert status("sending", Results(), due_at=later) == Status.SCHEDULED
    assert status("sending", Results(), planned=3, due_at=later) == Status.SENDING
    assert status("sending", Results(accepted=1), due_at=later) == Status.SENDING
    assert status("sending", Results(), due_at=NOW) == Status.SENDING


def test_rates_are_of_what_could_have_counted():
    results = Results(
        accepted=60,
        bounced=20,
        failed=10,
        expired=5,
        unknown=5,
        skipped=100,
        delivered=45,
        opened=15,
        clicked=6,
    )
    rates = results.rates
    assert (rates.accepted, rates.bounced, rates.failed) == (0.6, 0.2, 0.2)
    assert rates.skipped == 0.5
    assert (rates.delivered, rates.opened, rates.clicked, rates.converted) == (0.75, 0.25, 0.1, 0.0)
    nobody = Results(skipped=4).rates
    assert (nobody.accepted, nobody.opened, nobody.skipped) == (None, None, 1.0)


@given(st.lists(st.tuples(st.sampled_from(Results.__struct_fields__), st.integers(0, 9))))
def test_counts_add_up(counts):
    found = add_up(counts)
    for name in Results.__struct_fields__:
        assert getattr(found, name) == sum(count for one, count in counts if one == name)


@given(st.dictionaries(st.integers(1, 99), COUNTS), st.sampled_from(Rank), st.booleans())
def test_an_order_has_each_broadcast_once_and_the_unknown_last(several, rank, reverse):
    order = ranked(several, rank, reverse=reverse)
    assert sorted(order) == sorted(several)
    if rank is Rank.WORST:
        attempted = [several[number].attempted > 0 for number in order]
        assert attempted == sorted(attempted, reverse=True)
        shares = [several[number].trouble for number in order if several[number].attempted]
        assert shares == sorted(shares, reverse=not reverse)


def test_the_worst_comes_first_and_of_equals_the_newest():
    several = {
        1: Results(accepted=1, failed=9),
        2: Results(accepted=9, bounced=1),
        3: Results(accepted=9, failed=1),
        4: Results(skipped=9),
    }
    assert ranked(several, Rank.WORST) == [1, 3, 2, 4]
    assert ranked(several, Rank.NEWEST) == [4, 3, 2, 1]
    assert ranked(several, Rank.NEWEST, reverse=True) == [1, 2, 3, 4]


def audience(**changes):
    usual = {"planned": 0, "all_planned": False, "last_device": b"", "parts": 1, "expected": None}
    return audience_size(Audience(**{**usual, **changes}))


def test_an_audience_is_what_was_planned_else_what_the_estimate_counted():
    assert audience(planned=5_026, all_planned=True, expected=900) == (5_026, True)
    assert audience(planned=3_200, expected=5_026) == (5_026, False)
    assert audience(planned=6_000, expected=5_026) == (6_000, False)
    assert audience(expected=970) == (970, False)
    assert audience(planned=100, last_device=b"\x40" + bytes(15)) == (400, False)


def test_a_check_that_looked_at_nobody_has_no_share():
    assert RenderCheck(checked=0, failed=0, whole=True, devices=0, problems={}).share == 0.0
