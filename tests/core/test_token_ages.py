"""Ages of tokens, and when FCM expires them."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.devices.token_age import EXPIRES_AFTER_DAYS, UsageCount, ages, calendar

TODAY = date(2026, 11, 26)

used = st.lists(
    st.builds(
        UsageCount,
        platform=st.sampled_from(["ios", "android", "web"]),
        days=st.integers(0, 730),
        devices=st.integers(1, 1_000),
        suppressed=st.just(0),
    )
)


@pytest.mark.parametrize(
    ("days", "since", "until"),
    [(0, 0, 7), (6, 0, 7), (7, 7, 30), (89, 30, 90), (269, 180, 270), (270, 270, None), (730, 270, None)],
)
def test_a_device_is_of_one_age(days, since, until):
    found = ages([UsageCount("ios", days, 3, 1)])
    assert [(age.since_days, age.until_days) for age in found if age.devices] == [(since, until)]
    assert len(found) == 6


def test_the_ages_say_how_many_are_suppressed_and_come_by_platform():
    found = ages([UsageCount("web", 3, 1, 0), UsageCount("ios", 3, 5, 2), UsageCount("ios", 6, 4, 1)])
    assert [age.platform for age in found] == ["ios"] * 6 + ["web"] * 6
    assert [(age.platform, age.devices, age.suppressed) for age in found if age.devices] == [
        ("ios", 9, 3),
        ("web", 1, 0),
    ]


@given(used)
def test_every_device_is_counted_once(told):
    assert sum(age.devices for age in ages(told)) == sum(one.devices for one in told)


@pytest.mark.parametrize(
    ("days", "week"), [(0, 38), (1, 38), (263, 1), (264, 0), (269, 0), (270, None), (400, None)]
)
def test_fcm_forgets_an_android_device_in_the_week_of_its_270th_day(days, week):
    weeks = calendar([UsageCount("android", days, 5, 2), UsageCount("ios", days, 7, 0)], TODAY)
    assert [(n, one.devices) for n, one in enumerate(weeks) if one.devices] == (
        [] if week is None else [(week, 3)]
    )
    if week is not None:
        forgotten = TODAY + timedelta(days=EXPIRES_AFTER_DAYS - days)
        assert weeks[week].begins <= forgotten < weeks[week].begins + timedelta(days=7)


def test_the_weeks_follow_each_other_from_today_on():
    weeks = calendar([], TODAY)
    assert weeks[0].begins == TODAY
    assert len(weeks) == 39
    assert weeks[-1].begins == TODAY + timedelta(days=38 * 7)
