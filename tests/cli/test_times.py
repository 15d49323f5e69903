"""Times as they are typed and shown on the command line."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.cli.times import ago, moment

NOW = datetime(2026, 12, 1, 12, 30, tzinfo=UTC)
TIMES = st.datetimes(datetime(1971, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("2 H ago", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("now", timedelta()),
        ("in 2h", -timedelta(hours=2)),
        ("+2h", -timedelta(hours=2)),
    ],
)
def test_a_relative_time_is_counted_from_now(text, before):
    assert moment(text, NOW) == NOW - before


def test_the_same_words_look_ahead_where_something_is_scheduled():
    assert moment("2h", NOW, future=True) == NOW + timedelta(hours=2)
    assert moment("2h ago", NOW, future=True) == NOW - timedelta(hours=2)


def test_a_day_begins_at_midnight_in_this_machines_zone():
    local = NOW.astimezone()
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None).astimezone()
    assert moment("today", NOW) == midnight
    assert moment("2026-12-24", NOW) == datetime(2026, 12, 24).astimezone()


@pytest.mark.parametrize("text", ["", "soon", "2x", "h", "-2h", "999999w", "2026-13-01", "12", "٢h", "2h 3m"])
def test_anything_else_is_no_time(text):
    assert moment(text, NOW) is None


@given(TIMES)
def test_a_time_with_its_zone_is_itself(at):
    assert moment(at.isoformat(), NOW) == at


@given(st.text(max_size=20))
def test_no_text_breaks_it(text):
    found = moment(text, NOW)
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3_600, "1 h ago"),
        (86_399, "24 h ago"),
        (172_800, "2 d ago"),
        (-7_200, "in 2 h"),
    ],
)
def test_what_is_near_is_shown_by_how_far_it_is(seconds, shown):
    at = NOW - timedelta(seconds=seconds)
    assert ago(at.isoformat(), NOW) == shown
    assert ago(at.timestamp(), NOW) == shown


def test_what_is_far_is_shown_by_its_day():
    assert ago("2025-03-04T12:00:00+00:00", NOW) == "2025-03-04"
    assert ago(None) == "-"
