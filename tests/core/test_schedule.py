"""When a message is due, over changes of summer time and in hours that are allowed."""
# ruff: noqa: DTZ001 - local times are what is tried here

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.core.broadcasts import schedule
from pushkeeper.core.broadcasts.schedule import BadSchedule, Pass, Schedule, Window, first_moment, passes
from support.examples import examples

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "UTC",
    "Africa/Cairo",
]
zones = st.sampled_from(ZONES)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC, microsecond=0)
)
times = st.times().map(lambda at: at.replace(microsecond=0))


def local(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("wanted", "zone", "moment"),
    [
        # Berlin goes from 02:00 to 03:00 on 29 March 2026, and back from 03:00 to 02:00 on 25 October.
        (datetime(2026, 3, 29, 1, 59), "Europe/Berlin", datetime(2026, 3, 29, 0, 59)),
        (datetime(2026, 3, 29, 2, 0), "Europe/Berlin", datetime(2026, 3, 29, 1, 0)),
        (datetime(2026, 3, 29, 2, 30), "Europe/Berlin", datetime(2026, 3, 29, 1, 0)),
        (datetime(2026, 3, 29, 3, 0), "Europe/Berlin", datetime(2026, 3, 29, 1, 0)),
        (datetime(2026, 3, 29, 9, 0), "Europe/Berlin", datetime(2026, 3, 29, 7, 0)),
        (datetime(2026, 10, 25, 2, 30), "Europe/Berlin", datetime(2026, 10, 25, 0, 30)),
        (datetime(2026, 10, 25, 9, 0), "Europe/Berlin", datetime(2026, 10, 25, 8, 0)),
        # Lord Howe's clocks change by half an hour.
        (datetime(2026, 10, 4, 2, 15), "Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30)),
    ],
)
def test_a_local_time_that_is_skipped_is_the_change_and_one_that_comes_twice_the_first(wanted, zone, moment):
    assert first_moment(wanted, ZoneInfo(zone)) == moment.replace(tzinfo=UTC)


@settings(max_examples=examples(500))
@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)), zones)
def test_no_earlier_moment_of_the_day_shows_that_time(wanted, zone):
    wanted = wanted.replace(microsecond=0)
    found = first_moment(wanted, ZoneInfo(zone))
    assert local(found, zone) >= wanted
    before = found - timedelta(seconds=1)
    assert local(before, zone) < wanted


@settings(max_examples=examples(500))
@given(moments, zones, times, times, st.none() | zones)
def test_a_window_opens_at_the_first_moment_at_which_it_is_open(moment, zone, opens, closes, own):
    window = Window(opens=opens, closes=closes, time_zone=own)
    found = window.opening(moment, zone)
    # Where its hours are skipped by a change of clocks, it opens at the change, or not at all that day.
    assert found >= moment
    if window.is_open(moment, zone):
        assert found == moment
    else:
        assert found - moment <= timedelta(days=2, hours=1)
        shown = local(found, own or zone)
        assert shown.time() >= opens or not window.is_open(found - timedelta(seconds=1), zone)


def test_hours_past_midnight():
    window = Window(opens=time(22), closes=time(6), time_zone="UTC")
    assert [
        window.is_open(datetime(2026, 1, 1, hour, tzinfo=UTC), "UTC") for hour in (21, 22, 23, 0, 5, 6)
    ] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]


NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)


def by_zone(parts):
    """When each zone is due; no zone is in two parts."""
    named = [(zone, part.at) for part in parts for zone in part.zones or ()]
    assert len(named) == len(dict(named))
    return dict(named)


def test_at_once_is_one_pass_of_all():
    assert passes(Schedule(), NOW) == (Pass(NOW),)
    assert passes(Schedule(at=NOW - timedelta(days=1)), NOW) == (Pass(NOW),)
    later = NOW + timedelta(hours=3)
    assert passes(Schedule(at=later), NOW) == (Pass(later),)


def test_a_local_time_is_a_pass_for_each_moment_and_one_for_the_rest():
    found = passes(Schedule(local_time=datetime(2026, 3, 29, 9)), NOW)
    *parts, rest = found
    assert rest == Pass(parts[-1].at, None)
    due = by_zone(found)
    assert due.keys() == schedule.zones()
    assert due["Europe/Berlin"] == datetime(2026, 3, 29, 7, tzinfo=UTC)
    assert due["America/New_York"] == datetime(2026, 3, 29, 13, tzinfo=UTC)
    assert due["Pacific/Kiritimati"] == datetime(2026, 3, 28, 19, tzinfo=UTC)
    assert [part.at for part in parts] == sorted({part.at for part in parts})
    assert {local(at, zone) for zone, at in due.items()} == {datetime(2026, 3, 29, 9)}


def test_where_the_local_time_is_past_it_is_due_now():
    due = by_zone(passes(Schedule(local_time=datetime(2026, 3, 28, 13)), NOW))
    assert min(due.values()) == due["Asia/Tokyo"] == NOW
    assert due["Europe/London"] == NOW + timedelta(hours=1)


def test_hours_of_each_device_are_passes_too():
    window = Window(opens=time(9), closes=time(21))
    due = by_zone(passes(Schedule(window=window), NOW))
    assert due["Europe/Berlin"] == NOW
    assert due["Asia/Tokyo"] == datetime(2026, 3, 29, 0, tzinfo=UTC)
    assert due["America/Los_Angeles"] == datetime(2026, 3, 28, 16, tzinfo=UTC)


def test_hours_of_one_zone_are_no_pass_of_each_device():
    window = Window(opens=time(9), closes=time(11), time_zone="Europe/Berlin")
    assert passes(Schedule(window=window), NOW) == (Pass(datetime(2026, 3, 29, 7, tzinfo=UTC)),)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (schedule.read_time, "25:00"),
        (schedule.read_time, "09:00Z"),
        (schedule.read_time, None),
        (schedule.read_local_time, "tomorrow"),
        (schedule.read_local_time, "2026-12-24T18:00Z"),
        (schedule.read_local_time, "0001-01-01T00:00"),
        (schedule.read_zone, "Berlin"),
        (schedule.read_zone, 3),
    ],
)
def test_what_is_no_time_is_told_by_its_field(read, text):
    with pytest.raises(BadSchedule, match=r"^schedule\.x: expected"):
        read(text, "schedule.x")


def test_what_is_read():
    assert schedule.read_time("09:30", "x") == time(9, 30)
    assert schedule.read_local_time("2026-12-24T18:00", "x") == datetime(2026, 12, 24, 18)
    assert schedule.read_zone("Europe/Berlin", "x") == "Europe/Berlin"
    assert schedule.known_zone("Europe/Paris", "UTC") == "Europe/Paris"
    assert [schedule.known_zone(name, "UTC") for name in (None, "Nowhere", 3)] == ["UTC"] * 3
    assert schedule.read_zone(" asia/tokyo\n", "x") == "Asia/Tokyo"
    assert Schedule(local_time=datetime(2026, 1, 1)).due("UTC", NOW).date() == date(2026, 3, 28)


@given(st.sampled_from(sorted(schedule.zones())), st.data())
def test_a_zone_is_known_whatever_its_case_and_the_blanks_around_it(zone, data):
    cased = "".join(data.draw(st.sampled_from([char.lower(), char.upper()])) for char in zone)
    blanks = st.text(schedule.ZONE_BLANKS, max_size=2)
    said = data.draw(blanks) + cased.replace("_", data.draw(st.sampled_from("_ "))) + data.draw(blanks)
    assert schedule.canonical_zone(said) == zone


def test_no_two_zones_have_one_key():
    assert len({schedule.zone_key(zone) for zone in schedule.zones()}) == len(schedule.zones()) > 400


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("asia/tokyo", "Asia/Tokyo"),
        ("Asia/Tokyo ", "Asia/Tokyo"),
        ("ASIA/TOKYO", "Asia/Tokyo"),
        ("america/new york", "America/New_York"),
        ("Japan", "Japan"),
        ("US/Pacific", "US/Pacific"),
        ("utc", "UTC"),
        ("etc/gmt-9", "Etc/GMT-9"),
        *(
            (said, None)
            for said in (
                "GMT+9",
                "GMT+0530",
                "+09:00",
                "UTC+9",
                "JST",
                "Tokyo",
                "",
                " ",
                "Factory",
                "localtime",
            )
        ),
        *((said, None) for said in (None, 9, True, ["Asia/Tokyo"], "As\u0131a/Tokyo", "Asia/To\u212ayo")),
    ],
)
def test_what_is_no_zone_is_none(said, zone):
    assert schedule.canonical_zone(said) == zone
