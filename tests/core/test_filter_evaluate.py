"""What each condition of a filter is true of. A property test holds the database to the same (tests/store/test_filter.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.filters import values
from pushkeeper.core.filters.evaluate import (
    DeviceFacts,
    EvaluationContext,
    PerformedEvent,
    PersonFacts,
    failing,
    matches,
)
from pushkeeper.core.filters.from_text import parse

NOW = datetime(2026, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BOUGHT = (
    *(PerformedEvent("bought", NOW - days * DAY) for days in (1, 7, 30)),
    PerformedEvent("seen", NOW - DAY),
    PerformedEvent("bought", NOW + DAY),  # by a phone whose clock is ahead
)
ANN = PersonFacts(
    {"id": "Ann", "email": "Ann@Example.com"},
    {
        "plan": "pro plus",
        "visits": 3,
        "spent": 2.5,
        "vip": True,
        "tags": ["a", 7, True, "4.0"],
        "version": "v4.10 (118)",
        "born": "2000-02-29",
        "seen": 1_782_777_599,  # a day and a second before
        "a day": "2026-06-30",
        "nothing": None,
        "ahead": "2026-07-01T00:00:01Z",
    },
    events=BOUGHT,
)


def is_true(text: str, facts: PersonFacts = ANN) -> bool:
    return matches(parse(text), EvaluationContext(facts, NOW))


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("person.email = ann@example.com", True),
        ("person.id = ann", False),
        ("person.id = Ann", True),
        ("person.plan contains 'o p'".replace("'", '"'), True),
        ("person.plan contains Pro", False),
        ("person.plan starts with pro", True),
        ("person.plan starts with plus", False),
        ("person.visits contains 3", False),
        ("person.visits starts with 3", False),
        ("person.tags contains a", True),
        ("person.tags contains 7", True),
        ("person.tags contains 4", False),
        ("person.tags contains 1", False),
        ("person.tags contains true", True),
        ("person.tags = a", False),
        *((f"person.visits {order} 3", order in {"<=", ">="}) for order in ("<", "<=", ">", ">=")),
        *((f"person.visits {order} 2.99", order in {">", ">="}) for order in ("<", "<=", ">", ">=")),
        *((f"person.spent {order} 3", order in {"<", "<="}) for order in ("<", "<=", ">", ">=")),
        ("person.vip < 3", False),
        ("person.plan < 3", False),
        *((f"person.version {order} 4.10.0", order in {"<=", ">="}) for order in ("<", "<=", ">", ">=")),
        ("person.version > 4.9.1", True),
        ("person.version < 4.10.1", True),
        ("person.plan < 4.10.1", False),
        ("person.born before 2000-03-01", True),
        ("person.born before 2000-02-29", False),
        ("person.born after 2000-02-28", True),
        ("person.plan before 2000-03-01", False),
        ("person.seen within 1d", False),
        ("person.seen within 86401s", True),
        ('person."a day" within 1d', True),
        ("person.ahead within 1d", False),
        ("person.plan within 1d", False),
        ("person.nothing exists", True),
        ("person.none exists", False),
        ("event bought >= 4", True),
        ("event bought > 4", False),
        ("event bought >= 4 within 30d", False),
        ("event bought >= 3 within 30d", True),
        ("event bought >= 2 within 7d", True),
        ("event bought >= 2 within 6d", False),
        ("event bought >= 3 since 2026-06-24", True),
        ("event bought >= 3 since 2026-06-25", False),
        ("event bought < 1", False),
        ("event bought <= 4", True),
        ("event seen <= 1", True),
        ("event other <= 0", True),
        ("event other", False),
    ],
)
def test_a_condition_is_true_of_ann(text: str, true: bool) -> None:  # noqa: FBT001
    assert is_true(text) is true


def test_the_clause_that_keeps_somebody_out_is_looked_for_as_far_as_there_is_one() -> None:
    phone = DeviceFacts({"platform": "ios"})
    of_ann = EvaluationContext(ANN, NOW, phone)
    first, second = parse("person.plan = free"), parse("person.visits = 9")
    assert failing(parse("person.plan = free or person.visits = 9"), of_ann) == parse(
        "person.plan = free or person.visits = 9"
    ), "either would have been enough"
    assert failing(parse("person.visits = 3 and person.plan = free and person.visits = 9"), of_ann) == first
    assert failing(second, of_ann) == second
    none = parse("none(platform = ios and platform exists)")
    assert failing(none, of_ann) == none, "all of it is true, which is what it must not be"


@pytest.mark.parametrize(
    ("value", "number", "version"),
    [
        (7, Decimal(7), (7,)),
        (-7.5, Decimal("-7.5"), None),
        ("7.50", Decimal("7.5"), (7, 50)),
        (7.0, Decimal(7), (7,)),
        (100, Decimal(100), (100,)),
        ("007", None, (7,)),
        ("1e3", None, (1,)),
        (1e20, Decimal(10) ** 20, None),
        ("1" * 16, None, None),
        (True, None, None),
        (None, None, None),
        ("v4.2.0", None, (4, 2)),
        ("0.0", Decimal(0), (0,)),
        (-0.0, Decimal(0), (0,)),
        ("4.2-beta", None, (4, 2)),
        ("4.2.", None, None),
        ("1.2.3.4.5.6", None, (1, 2, 3, 4, 5, 6)),
        ("1.2.3.4.5.6.7", None, None),
        ("x4", None, None),
        ([4], None, None),
    ],
)
def test_what_a_value_is_as_a_number_and_as_a_version(
    value: object, number: Decimal | None, version: tuple[int, ...] | None
) -> None:
    assert values.number(value) == number
    assert values.version(value) == version


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        ("0", 0),
        (-1, None),
        (1.5, Decimal("1.5")),
        ("1.5", None),
        (253_402_300_799, 253_402_300_799),
        ("253402300799", 253_402_300_799),
        (253_402_300_800, None),
        ("1970-01-02", 86_400),
        ("1970-01-01T00:01:00.25Z", Decimal("60.25")),
        ("1970-01-01 01:00+01:00", 0),
        ("1970-01-01T00:00:00+00:01", None),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
        ("9999-12-31T23:59:59-00:01", None),
        ("2026-02-30", None),
        ("20260201", 20_260_201),
        ("yesterday", None),
        (True, None),
        (None, None),
    ],
)
def test_what_a_value_is_as_a_time(value: object, seconds: Decimal | int | None) -> None:
    assert values.seconds(value) == seconds


@pytest.mark.parametrize(
    ("text", "meanings"),
    [
        ("pro", ("pro",)),
        ("true", ("true", True)),
        ("false", ("false", False)),
        ("True", ("True",)),
        ("null", ("null",)),
        ("3", ("3", 3)),
        ("3.0", ("3.0", 3.0)),
        ("03", ("03",)),
        ('"3"', ('"3"',)),
        ("[]", ("[]",)),
    ],
)
def test_what_a_text_may_stand_for(text: str, meanings: tuple[Any, ...]) -> None:
    found = values.meanings(text)
    assert found == meanings
    assert list(map(type, found)) == list(map(type, meanings))


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_moment_is_its_seconds_to_the_microsecond(moment: datetime) -> None:
    seconds = values.seconds_of(moment)
    assert (
        seconds == Decimal((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)) / 10**6
    )
    if seconds >= 0:
        assert values.moment_of(seconds) == moment
