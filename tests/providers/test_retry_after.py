"""What servers say of time, in each form that HTTP has for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushkeeper.providers.shared.retry_after import retry_after_s, said_at
from pushkeeper.providers.transport.response import Response

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FOUR_WEEKS_S = 28 * 86_400.0


def answer(name: bytes, value: bytes) -> Response:
    return Response(503, ((name, value),), b"")


@given(st.integers(0, 10**9 - 1), st.text(" \t", max_size=3))
def test_seconds_are_waited_up_to_four_weeks(seconds: int, blanks: str) -> None:
    value = f"{blanks}{seconds}{blanks}".encode()
    assert retry_after_s(answer(b"retry-after", value), NOON) == min(seconds, FOUR_WEEKS_S)


moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)


@given(moments)
def test_a_date_is_waited_for_up_to_four_weeks_and_one_that_is_past_is_now(moment: datetime) -> None:
    date = format_datetime(moment, usegmt=True).encode()
    expected = min(max((moment - NOON).total_seconds(), 0.0), FOUR_WEEKS_S)
    assert retry_after_s(answer(b"retry-after", date), NOON) == expected
    assert said_at(answer(b"date", date)) == moment


@pytest.mark.parametrize(
    ("zone", "hours"), [("GMT", 12), ("-0000", 12), ("+0200", 10), ("-0500", 17), ("", 12)]
)
def test_a_date_of_another_zone_is_the_moment_that_it_names(zone: str, hours: int) -> None:
    found = said_at(answer(b"date", f"Mon, 23 Nov 2026 12:00:00 {zone}".encode()))
    assert found == NOON - timedelta(hours=12 - hours)
    assert found.tzinfo is not None


def test_a_server_that_says_nothing_of_time_has_said_nothing() -> None:
    other = answer(b"server", b"23")
    assert (said_at(other), retry_after_s(other, NOON)) == (None, None)


@given(st.binary() | st.text(st.characters(codec="ascii")).map(str.encode))
@example(b"")
@example(b"Mon, 1 Jan 2020 00:00:00 +99999999999999")
@example(b"1 Jan " + b"9" * 5_000 + b" 0:0:0")
@example(b"23 Nov 2026 12:00:00 \xff")
def test_whatever_a_server_says_is_a_time_or_nothing(value: bytes) -> None:
    after_s = retry_after_s(answer(b"retry-after", value), NOON)
    assert after_s is None or 0 <= after_s <= FOUR_WEEKS_S
    found = said_at(answer(b"date", value))
    assert found is None or found.tzinfo is not None
