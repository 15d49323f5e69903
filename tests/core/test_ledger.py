"""Replaying a device's history, with and without reverted bounces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.delivery import device_status
from pushkeeper.core.delivery.device_status import DeviceState, LastStatus, Suppression
from pushkeeper.core.delivery.status_replay import HistoryEvent, ReplayedStatus, fold

START = datetime(2026, 7, 1, 14, tzinfo=UTC)
UNUSED, SENT, BOUNCED, SUPPRESSED = LastStatus


Told = tuple[str, LastStatus | None, LastStatus | None, int | None]


def history(*told: Told, undone: tuple[int, ...] = ()):
    """Lines numbered from 1, a minute apart."""
    return [
        HistoryEvent(
            number=number,
            at=START + timedelta(minutes=number),
            event=event,
            from_status=before,
            to_status=after,
            strikes=strikes,
            generation=1,
            reason="BadDeviceToken" if event.startswith("refused") else None,
            undone=number in undone,
        )
        for number, (event, before, after, strikes) in enumerate(told, start=1)
    ]


REGISTERED = ("registered", None, UNUSED, 0)
ACCEPTED = ("accepted", UNUSED, SENT, 0)
FIRST = ("refused", SENT, BOUNCED, 1)
SECOND = ("refused", BOUNCED, SUPPRESSED, 2)
BACK = ("refreshed", SUPPRESSED, UNUSED, 0)


def come_to(lines, *without, suppress_after=2):
    found = fold(lines, suppress_after=suppress_after, without=frozenset(without))
    return None if found is None else (found.status, found.strikes)


@pytest.mark.parametrize(
    ("lines", "without", "comes_to"),
    [
        ((REGISTERED,), (), (UNUSED, 0)),
        ((REGISTERED, ACCEPTED, FIRST, SECOND), (), (SUPPRESSED, 2)),
        ((REGISTERED, ACCEPTED, FIRST, SECOND), (4,), (BOUNCED, 1)),
        ((REGISTERED, ACCEPTED, FIRST, SECOND), (3,), (BOUNCED, 1)),
        ((REGISTERED, ACCEPTED, FIRST, SECOND), (3, 4), (SENT, 0)),
        ((REGISTERED, ACCEPTED, FIRST, SECOND, BACK), (), (UNUSED, 0)),
        # Revived from what it would have been: it was sent, and still is.
        ((REGISTERED, ACCEPTED, FIRST, SECOND, BACK), (3, 4), (SENT, 0)),
        ((REGISTERED, ACCEPTED, FIRST, SECOND, ("deleted", SUPPRESSED, None, None)), (3, 4), None),
        (
            (REGISTERED, ACCEPTED, FIRST, ("moved", BOUNCED, BOUNCED, 1), SECOND),
            (3,),
            (BOUNCED, 1),
        ),
        # A refusal as stale is a strike only when it is the second.
        ((REGISTERED, ACCEPTED, ("refused_as_stale", SENT, SENT, 0)), (), (SENT, 0)),
        ((REGISTERED, ACCEPTED, ("refused_as_stale", SENT, BOUNCED, 1)), (), (BOUNCED, 1)),
        (
            (REGISTERED, ("refused", UNUSED, BOUNCED, 1), ("refused_as_stale", BOUNCED, BOUNCED, 1)),
            (),
            (BOUNCED, 1),
        ),
        (
            (REGISTERED, ("refused", UNUSED, BOUNCED, 1), ("refused_as_stale", BOUNCED, SUPPRESSED, 2)),
            (),
            (SUPPRESSED, 2),
        ),
        # What is left of a history whose beginning is kept no more.
        ((SECOND,), (), (SUPPRESSED, 2)),
        ((SECOND,), (1,), (BOUNCED, 1)),
        # Named as gone, where that is enough at the first.
        ((REGISTERED, ("refused", UNUSED, SUPPRESSED, 1)), (), (SUPPRESSED, 1)),
        ((), (), None),
        # Also where the first line is of another kind, or says nothing of strikes.
        ((("refused", BOUNCED, SUPPRESSED, None),), (), (SUPPRESSED, 2)),
        ((("refused_as_stale", BOUNCED, BOUNCED, 1),), (), (BOUNCED, 1)),
        ((("refused_as_stale", BOUNCED, SUPPRESSED, 2),), (), (SUPPRESSED, 2)),
        ((("refused_as_stale", SUPPRESSED, SUPPRESSED, 2),), (), (SUPPRESSED, 2)),
        (
            (REGISTERED, ("refused", UNUSED, BOUNCED, 1), ("refused_as_stale", BOUNCED, SUPPRESSED, None)),
            (),
            (SUPPRESSED, 2),
        ),
        # A device that nothing is known of has no strike to count.
        ((("refused", None, BOUNCED, 1),), (), None),
        # What a merge hands on, and what a registration revives.
        ((("registered", None, SENT, 0),), (), (SENT, 0)),
        ((("registered", None, BOUNCED, 1),), (), (BOUNCED, 1)),
        ((("moved", None, BOUNCED, None),), (), (BOUNCED, 1)),
        ((("refreshed", None, UNUSED, 0),), (), (UNUSED, 0)),
        ((("registered", None, None, None),), (), (UNUSED, 0)),
        ((REGISTERED, ACCEPTED, FIRST, ("moved", BOUNCED, BOUNCED, 1)), (), (BOUNCED, 1)),
        ((REGISTERED, ACCEPTED, FIRST, ("moved", BOUNCED, UNUSED, 0)), (), (UNUSED, 0)),
        ((REGISTERED, ACCEPTED, ("registered", SENT, UNUSED, 0)), (), (UNUSED, 0)),
        ((REGISTERED, ACCEPTED, FIRST, ("merged", BOUNCED, BOUNCED, 1)), (), (BOUNCED, 1)),
        # A refusal of a suppressed device is a strike like any other.
        ((REGISTERED, ACCEPTED, FIRST, SECOND, ("refused", SUPPRESSED, SUPPRESSED, 2)), (3, 4), (BOUNCED, 1)),
        ((REGISTERED, ACCEPTED, ("refused", SENT, SUPPRESSED, 1)), (), (SUPPRESSED, 1)),
    ],
)
def test_a_history_comes_to(lines, without, comes_to):
    assert come_to(history(*lines), *without) == comes_to


def test_more_strikes_where_a_workspace_asks_for_more():
    lines = history(
        REGISTERED,
        ("refused", UNUSED, BOUNCED, 1),
        ("refused", BOUNCED, BOUNCED, 2),
        ("refused", BOUNCED, SUPPRESSED, 3),
    )
    assert come_to(lines, suppress_after=3) == (SUPPRESSED, 3)
    assert come_to(lines, 2, suppress_after=3) == (BOUNCED, 2)
    assert come_to(lines, 2, 3, 4, suppress_after=3) == (UNUSED, 0)


@pytest.mark.parametrize(
    ("lines", "comes_to"),
    [
        ((("refused", BOUNCED, BOUNCED, 3),), (BOUNCED, 3)),
        ((("registered", None, BOUNCED, 2),), (BOUNCED, 2)),
        # The first doubt about the registration is noted, the second is a strike.
        (
            (
                ("refused", UNUSED, BOUNCED, 1),
                ("refused_as_stale", BOUNCED, BOUNCED, 1),
                ("refused_as_stale", BOUNCED, BOUNCED, 2),
            ),
            (BOUNCED, 2),
        ),
        # Reported as gone, which is enough; later lines revert nothing.
        ((("refused", UNUSED, SUPPRESSED, 1), ("refused", SUPPRESSED, SUPPRESSED, 2)), (SUPPRESSED, 2)),
    ],
)
def test_a_history_comes_to_where_a_workspace_asks_for_four(lines, comes_to):
    assert come_to(history(*lines), suppress_after=4) == comes_to


def test_what_was_undone_counts_no_more_whatever_is_undone_after_it():
    lines = history(REGISTERED, ACCEPTED, FIRST, SECOND, ("undone", SUPPRESSED, BOUNCED, 1), undone=(4,))
    assert come_to(lines) == (BOUNCED, 1)
    assert come_to(lines, 3) == (SENT, 0)


def test_the_last_strike_that_counts_says_when_and_why():
    found = fold(history(REGISTERED, ACCEPTED, FIRST, SECOND), suppress_after=2, without=frozenset({4}))
    assert found == ReplayedStatus(
        status=BOUNCED, strikes=1, struck_at=START + timedelta(minutes=3), reason="BadDeviceToken"
    )


HAPPENS = {
    "accepted": lambda state, _: device_status.accepted(state, state.generation),
    "refused": lambda state, options: device_status.refused(state, state.generation, options=options),
    "refused_as_stale": lambda state, options: device_status.refused_as_stale(
        state, state.generation, options=options
    ),
    "refreshed": lambda state, _: device_status.registered(state),
}
happenings = st.lists(st.sampled_from(sorted(HAPPENS)), max_size=12)


def lived(happened: list[str], options: Suppression, left_out: frozenset[int] = frozenset()):
    """The lines that a device's life writes, and its state after it; some of them never happen."""
    state = DeviceState()
    told: list[Told] = [("registered", None, state.status, 0)]
    for number, event in enumerate(happened, start=2):
        before = state
        if number not in left_out:
            changed = HAPPENS[event](state, options)
            assert changed is not None, "nothing here deletes a device"
            state = changed
        told.append((event, before.status, state.status, state.strikes))
    return history(*told), (state.status, state.strikes)


@given(
    happenings,
    st.builds(Suppression, suppress_after=st.integers(1, 4))
    | st.builds(Suppression, suppress_after=st.integers(1, 2), suppress_on_definitive=st.just(True)),  # noqa: FBT003
)
def test_a_history_comes_to_how_the_device_stands(happened, options):
    lines, stands = lived(happened, options)
    assert come_to(lines, suppress_after=options.suppress_after) == stands


@given(happenings, st.integers(0, 12))
def test_it_comes_to_the_same_however_much_of_its_beginning_is_kept_no_more(happened, gone):
    lines, stands = lived(happened, Suppression())
    assert come_to(lines[min(gone, len(lines) - 1) :]) == stands


@given(
    happenings.map(lambda all_: [one for one in all_ if one != "refused_as_stale"]),
    st.integers(1, 4),
    st.data(),
)
def test_without_a_strike_a_history_comes_to_what_it_had_been_had_that_never_happened(happened, needed, data):
    options = Suppression(suppress_after=needed)
    strikes = [number for number, event in enumerate(happened, start=2) if event == "refused"]
    left_out = frozenset(data.draw(st.lists(st.sampled_from(strikes)))) if strikes else frozenset()
    lines, _ = lived(happened, options)
    _, stands = lived(happened, options, left_out)
    assert come_to(lines, *left_out, suppress_after=needed) == stands
