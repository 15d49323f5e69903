"""A filter written as text and read again means the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pushkeeper.core.filters.evaluate import (
    DeviceFacts,
    EvaluationContext,
    PerformedEvent,
    PersonFacts,
    matches,
)
from pushkeeper.core.filters.from_json import read
from pushkeeper.core.filters.from_text import parse
from pushkeeper.core.filters.nodes import BadFilter, SavedAudience, Unit
from pushkeeper.core.filters.to_text import text_of
from support.examples import examples

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)

NAMES = [
    *(
        "plan",
        "id",
        "email",
        "app_version",
        "last used",
        "and",
        'quo"te',
        "person.x",
        "platform",
        "attributes.x",
        "a.b",
    ),
    *("segment", "event", "everybody", "any", "device_os"),
]
TEXTS = ["pro", "", "a b", "in", "unused", 'x"y', "3", "Ünicode", "a,b", "platform"]
OPERATORS = st.one_of(
    st.just(("exists", None)),
    st.tuples(st.sampled_from(["eq", "neq", "contains", "starts_with"]), st.sampled_from(TEXTS)),
    st.tuples(st.just("in"), st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)),
    st.tuples(
        st.sampled_from(["gt", "gte", "lt", "lte"]),
        st.sampled_from([3, -1.5, "4.2", "4.2.0", "1.2.3", 0, "15"]),
    ),
    st.tuples(st.sampled_from(["before", "after"]), st.sampled_from(["2026-06-30", 1_782_907_199.5])),
    st.tuples(st.just("within_last_s"), st.sampled_from([1, 90, 3_600, 86_400 * 7])),
)


def attribute(names: list[str]) -> st.SearchStrategy[Any]:
    def made(name: str, asked: tuple[str, Any]) -> Any:
        operator, value = asked
        given = {"field": name, "operator": operator}
        return {"attribute": given if operator == "exists" else {**given, "value": value}}

    return st.builds(made, st.sampled_from(names), OPERATORS)


DEVICE_TESTS = st.one_of(
    attribute(NAMES),
    st.sampled_from(
        [
            {"attribute": {"field": "last_status", "operator": "eq", "value": ""}},
            {"attribute": {"field": "last_status", "operator": "in", "value": ["", "sent"]}},
            {"attribute": {"field": "platform", "operator": "neq", "value": "ios"}},
            {"attribute": {"field": "last_used", "operator": "gte", "value": "2026-06-30"}},
            {"attribute": {"field": "strikes", "operator": "gt", "value": 0}},
        ]
    ),
)


def joined(leaves: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.fixed_dictionaries({"not": inner}),
            st.fixed_dictionaries({"and": st.lists(inner, max_size=3)}),
            st.fixed_dictionaries({"or": st.lists(inner, max_size=3)}),
        ),
        max_leaves=most,
    )


TREES = joined(
    st.one_of(
        attribute(NAMES),
        st.builds(
            lambda inner, match: {"device": {"match": match, **inner}},
            joined(DEVICE_TESTS, 4),
            st.sampled_from(["any", "all", "none"]),
        ),
        st.just({"segment": {"id": 7}}),
        st.sampled_from(
            [
                {"event": {"name": "bought"}},
                {"event": {"name": "came back", "operator": "lt", "count": 2, "within_last_s": 86_400}},
                {"event": {"name": "in", "since": "2026-01-01"}},
            ]
        ),
    ),
    6,
)
VALUES = st.sampled_from(
    ["pro", "", "a b", "3", 3, 4.2, "4.2.0", "1.2.3", "2026-06-30", True, ["pro", "in"], "unused"]
)
DEVICES = st.builds(
    DeviceFacts,
    st.fixed_dictionaries(
        {
            "platform": st.sampled_from(["ios", "android"]),
            "last_status": st.sampled_from(["", "sent"]),
            "strikes": st.integers(0, 1),
            "last_used": st.sampled_from([NOW - timedelta(days=2), NOW - timedelta(minutes=1)]),
        }
    ),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
)
FACTS = st.builds(
    PersonFacts,
    st.fixed_dictionaries({"id": st.sampled_from(["pro", "3"])}),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5),
    st.sampled_from([(), (7,)]),
    st.lists(DEVICES, max_size=3).map(tuple),
    st.lists(
        st.builds(PerformedEvent, st.sampled_from(["bought", "in", "came back"]), st.just(NOW)), max_size=2
    ).map(tuple),
)


@settings(max_examples=examples(400))
@given(TREES, st.lists(FACTS, min_size=1, max_size=4))
def test_what_is_written_is_read_as_the_same(tree: Any, people: list[PersonFacts]) -> None:
    try:
        node = read(tree)
    except BadFilter:
        assume(condition=False)
    text = text_of(node)
    again = parse(text)
    for facts in people:
        readings = [
            EvaluationContext(facts, NOW),
            *(EvaluationContext(facts, NOW, device) for device in facts.devices),
        ]
        for reading in readings:
            assert matches(node, reading) == matches(again, reading), text


@pytest.mark.parametrize(
    "text",
    [
        "platform = ios and app_version < 4.2 and person.plan = pro",
        "not person.email exists",
        "any(platform = ios) and any(last_status = sent)",
        "not any(platform = ios) and none(app = x)",
        "segment 7 or event bought >= 3 within 30d",
        'person."first name" in (a, "b c")',
        "last_status = unused",
        "person.trial_ends before 2026-08-01T00:00:00Z",
        "everybody",
        "nobody",
        "platform != ios",
        "os < 4.2.0",
        *(f"strikes {sign} 1" for sign in ("<", "<=", ">", ">=")),
        *(f"person.visits {sign} 3" for sign in ("<", "<=", ">", ">=")),
        "last_used < 2026-07-01T00:00:00Z",
        "last_used <= 2026-07-01T00:00:00Z",
        "person.born after 2000-01-01T00:00:00Z",
        *(f"last_used within {duration}" for duration in ("90s", "2m", "3h", "1d", "2w")),
        'person.plan contains "a b"',
        "city starts with Ber",
        "event bought",
        'event "in" < 2',
        "event bought >= 2 since 2026-01-01T00:00:00Z within 30d",
        "(platform = ios or app = x) and person.plan = pro",
        "platform = ios or app = x or person.plan = pro",
        "not (platform = ios or app = x)",
        "all(platform = ios or app = x)",
        *(
            f'"{word}" exists'
            for word in ("and", "or", "not", "in", "exists", "within", "since", "starts", "with")
        ),
        '"person.x" exists',
        '"device.x" exists',
        "attributes.platform = x",
        "attributes.attributes.x = y",
        "last_status in (unused, sent)",
        'person.plan in (pro, "in")',
    ],
)
def test_what_people_would_type_is_shown_as_they_would_type_it(text: str) -> None:
    assert text_of(parse(text)) == text


def test_a_saved_audience_is_shown_by_its_number() -> None:
    assert text_of(SavedAudience(3, Unit.DEVICE, parse("platform = ios"))) == "segment 3"
