"""What a device's history comes to, with strikes taken back or without."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.delivery.status_replay import HistoryEvent, ReplayedStatus, fold

START = datetime(2026, 7, 1, 14, tzinfo=UTC)
UNUSED, SENT, BOUNCED, SUPPRESSED = LastStatus


def history(
    *told: tuple[str, LastStatus | None, LastStatus | None, int | None], undone: tuple[int, ...] = ()
):
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


def test_what_was_undone_counts_no_more_whatever_is_undone_after_it():
    lines = history(REGISTERED, ACCEPTED, FIRST, SECOND, ("undone", SUPPRESSED, BOUNCED, 1), undone=(4,))
    assert come_to(lines) == (BOUNCED, 1)
    assert come_to(lines, 3) == (SENT, 0)


def test_the_last_strike_that_counts_says_when_and_why():
    found = fold(history(REGISTERED, ACCEPTED, FIRST, SECOND), suppress_after=2, without=frozenset({4}))
    assert found == ReplayedStatus(
        status=BOUNCED, strikes=1, struck_at=START + timedelta(minutes=3), reason="BadDeviceToken"
    )
