"""Times from outside: every form that is read, the bounds, and the rule for phones whose clocks are wrong."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core import times

TEN = datetime(2026, 11, 1, 10, tzinfo=UTC)
BOUNDS = st.sampled_from([times.EARLIEST, times.TOO_LATE])
MOMENTS = st.timedeltas(timedelta(), times.TOO_LATE - times.EARLIEST - timedelta(microseconds=1)).map(
    lambda since: times.EARLIEST + since
)
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.integers().map(str),
    st.datetimes(timezones=OFFSETS).map(datetime.isoformat),
    st.lists(st.integers()),
)
READERS = (times.from_seconds, times.from_milliseconds, times.from_iso, times.from_any)


@pytest.mark.parametrize(
    ("value", "reader"),
    [
        (1_793_527_200, times.from_seconds),
        (1_793_527_200.0, times.from_seconds),
        ("1793527200", times.from_seconds),
        (" 1793527200 ", times.from_seconds),
        ("1793527200.000", times.from_seconds),
        (1_793_527_200_000, times.from_milliseconds),
        ("1793527200000", times.from_milliseconds),
        ("2026-11-01T10:00:00Z", times.from_iso),
        ("2026-11-01t10:00:00.000z", times.from_iso),
        ("2026-11-01T10:00:00.000000000Z", times.from_iso),
        ("2026-11-01 10:00", times.from_iso),
        (" 2026-11-01T10:00:00Z\n", times.from_iso),
        ("2026-11-01T15:30:00+05:30", times.from_iso),
        ("2026-11-01T04:00:00-0600", times.from_iso),
        (1_793_527_200, times.from_any),
        ("1793527200000", times.from_any),
        ("2026-11-01T11:00+01:00", times.from_any),
    ],
)
def test_every_form_of_a_time_is_read(value, reader):
    assert reader(value) == TEN
    assert reader(value).tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        *(
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+03:00",
            "0001-01-01T00:00:00-06:00",
            "1969-12-31T23:59:59Z",
        ),
        *(
            "9999-12-31T23:59:59-06:00",
            "2200-01-01T00:00:00Z",
            "2199-12-31T23:59:59-00:01",
            "+10000-01-01T00:00:00Z",
        ),
        *(
            "2026-02-30T00:00:00Z",
            "2026-11-01T10:00:60Z",
            "yesterday",
            "٣",
            "",
            " ",
            "\ud800",
            "9" * 5000,
            "-1",
            "1e3",
        ),
        *(
            -1,
            10**30,
            10**400,
            7_258_118_400,
            -0.5,
            float("nan"),
            float("inf"),
            1e308,
            True,
            False,
            None,
            [],
            {},
        ),
        *("infinity", "-infinity", "now", "20261101T100000Z", "2026-W44-7", b"1793527200"),
    ],
)
def test_anything_else_is_no_time(value):
    assert [reader(value) for reader in READERS] == [None] * 4


@pytest.fixture
def in_tokyo(monkeypatch):
    """A machine whose own clock is nine hours ahead."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_a_text_without_a_zone_is_in_utc_wherever_the_machine_stands():
    assert times.from_iso("2026-11-01T10:00") == TEN
    assert times.from_iso("2026-11-01") == TEN - timedelta(hours=10)


@pytest.mark.parametrize(
    ("reader", "first", "last"),
    [
        (
            times.from_seconds,
            (0, times.EARLIEST),
            (7_258_118_399, datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ),
        (
            times.from_milliseconds,
            (100_000_000_000, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
            (7_258_118_399_000, datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ),
    ],
)
def test_numbers_are_read_from_the_first_to_the_last_that_is_meant_so(reader, first, last):
    for value, moment in (first, last):
        assert reader(value) == moment
    assert (reader(first[0] - 1), reader(last[0] + 1_000)) == (None, None)


def test_a_number_is_meant_in_one_unit_alone():
    assert times.from_milliseconds(1_793_527_200) is None
    assert times.from_seconds(1_793_527_200_000) is None
    assert times.from_any("2026-11-01T10:00:00") is None  # of which zone?


def test_a_local_time_names_no_zone():
    assert times.local("2026-11-01T10:00") == TEN.replace(tzinfo=None)
    for value in ("2026-11-01T10:00Z", "0001-01-01T00:00", "9999-12-31T23:59", "noon", None, 7):
        assert times.local(value) is None


@given(value=ANYTHING)
def test_whatever_is_read_lies_within_the_bounds(value):
    for reader in READERS:
        found = reader(value)
        assert found is None or times.EARLIEST <= found < times.TOO_LATE


@given(bound=BOUNDS, around=st.timedeltas(timedelta(days=-1), timedelta(days=1)), zone=OFFSETS)
def test_the_bounds_are_the_same_in_every_zone(bound, around, zone):
    moment = bound + around
    within = times.EARLIEST <= moment < times.TOO_LATE
    assert times.from_iso(moment.astimezone(zone).isoformat()) == (moment if within else None)


@pytest.mark.parametrize(
    "skew", [timedelta(), timedelta(days=365), timedelta(days=-365), timedelta(seconds=3)]
)
def test_a_wrong_clock_is_corrected_by_when_the_phone_says_that_it_sent(skew):
    happened, sent = TEN + skew, TEN + timedelta(days=2) + skew
    received = TEN + timedelta(days=2, seconds=1)
    assert times.corrected(happened, sent_at=sent, received_at=received) == TEN + timedelta(seconds=1)


@given(original=MOMENTS, sent_at=MOMENTS, received_at=MOMENTS)
def test_nothing_happens_after_it_came(original, sent_at, received_at):
    found = times.corrected(original, sent_at=sent_at, received_at=received_at)
    assert times.EARLIEST <= found <= received_at
