"""How far a broadcast has come: no better than is known."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from pushkeeper.core.broadcasts.progress import Audience, ProgressInput, Unknown, lately, tell

NOW = datetime(2026, 11, 26, 12, 3, 30, tzinfo=UTC)
AUDIENCE = Audience(planned=1_000, all_planned=True, last_device=b"\xff" * 16, parts=1, expected=None)
GOING = ProgressInput(
    now=NOW,
    started=True,
    paused=False,
    over=False,
    audience=AUDIENCE,
    settled=400,
    settled_lately=200,
    lately_s=100.0,
    held_up=0,
    last_due_at=None,
    bound_per_s=None,
)


def going(**changes):
    of_audience = {name: changes.pop(name) for name in AUDIENCE.__struct_fields__ if name in changes}
    return replace(GOING, audience=replace(AUDIENCE, **of_audience), **changes)


def test_the_end_is_estimated_from_the_recent_rate():
    told = tell(GOING)
    assert (told.devices, told.exact, told.settled, told.remaining, told.per_s) == (
        1_000,
        True,
        400,
        600,
        2.0,
    )
    assert told.ends_at == NOW + timedelta(seconds=300)
    assert told.unknown is None


def test_of_a_plan_under_way_the_whole_is_told_by_how_far_it_has_come():
    told = tell(going(all_planned=False, last_device=b"\x40" + bytes(15)))
    assert (told.devices, told.exact) == (4_000, False)


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ({"started": False}, Unknown.NOT_STARTED),
        ({"paused": True}, Unknown.PAUSED),
        ({"held_up": 600}, Unknown.ROUTE_PAUSED),
        ({"settled_lately": 0}, Unknown.NOTHING_YET),
        ({"over": True}, Unknown.OVER),
    ],
)
def test_where_the_end_cannot_be_told_it_says_why(changes, unknown):
    told = tell(going(**changes))
    assert (told.ends_at, told.unknown) == (None, unknown)


def test_no_bound_of_its_own_is_passed_and_what_is_due_later_is_waited_for():
    assert tell(going(bound_per_s=1.0)).ends_at == NOW + timedelta(seconds=600)
    later = NOW + timedelta(hours=2)
    assert tell(going(last_due_at=later)).ends_at == later


@pytest.mark.parametrize(
    ("started_s_ago", "begins", "over_s"),
    [
        (None, NOW, 0.0),
        (0.2, NOW.replace(second=0), 1.0),
        (20, NOW.replace(second=0), 20.0),
        (80, NOW.replace(minute=2, second=0), 80.0),
        (3_600, NOW.replace(minute=1, second=0), 150.0),
    ],
)
def test_the_recent_window_begins_with_a_full_minute(started_s_ago, begins, over_s):
    started_at = None if started_s_ago is None else NOW - timedelta(seconds=started_s_ago)
    assert lately(started_at, NOW) == (begins, over_s)
