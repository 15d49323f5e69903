"""Saved audiences in filters: put in where they are named, never in themselves, and read as they say themselves."""

from datetime import UTC, datetime

import pytest

from pushkeeper.core.filters.evaluate import DeviceFacts, EvaluationContext, PersonFacts, failing, matches
from pushkeeper.core.filters.from_text import parse
from pushkeeper.core.filters.nodes import (
    MAX_DEPTH,
    MAX_NODES,
    And,
    BadFilter,
    Condition,
    InSegment,
    Not,
    OneOf,
    Or,
    SavedAudience,
    Subject,
    Unit,
)
from pushkeeper.core.filters.saved import Definition, expanded, named

NOW = datetime(2026, 7, 1, tzinfo=UTC)
IPHONES = Definition(Unit.DEVICE, parse("platform = ios"))
PEOPLE_WITH_IPHONES = Definition(Unit.PERSON, parse("platform = ios"))
IPHONE, ANDROID = DeviceFacts({"platform": "ios"}), DeviceFacts({"platform": "android"})
BOTH = PersonFacts({}, {}, devices=(IPHONE, ANDROID))


def truth(text, saved, device=None, facts=BOTH):
    return matches(expanded(parse(text), saved), EvaluationContext(facts, NOW, device))


def test_a_filter_names_segments_wherever_they_stand():
    assert named(parse("segment 1 and not (segment 2 or platform = ios)")) == {1, 2}


def test_a_segment_that_is_not_saved_stays_a_list():
    node = parse("segment 1 or not segment 2")
    assert expanded(node, {}) is node
    assert expanded(node, {2: IPHONES}) == Or(
        (InSegment(1), Not(SavedAudience(2, Unit.DEVICE, IPHONES.node)))
    )


def test_an_audience_of_devices_is_of_the_device_itself_and_of_people_who_have_one():
    saved = {1: IPHONES}
    assert truth("segment 1", saved, IPHONE)
    assert not truth("segment 1", saved, ANDROID)
    assert truth("segment 1", saved)
    assert not truth("segment 1", saved, facts=PersonFacts({}, {}, devices=(ANDROID,)))


def test_an_audience_of_people_is_of_all_devices_that_they_have():
    saved = {1: PEOPLE_WITH_IPHONES}
    assert truth("segment 1 and platform = android", saved, ANDROID)
    assert not truth("segment 1", saved, ANDROID, PersonFacts({}, {}, devices=(ANDROID,)))


def test_audiences_name_audiences():
    saved = {1: IPHONES, 2: Definition(Unit.DEVICE, parse("not segment 1"))}
    assert truth("segment 2", saved, ANDROID)
    assert not truth("segment 2", saved, IPHONE)


@pytest.mark.parametrize(
    ("definitions", "way"),
    [
        ({1: "segment 1"}, "segment 1 in segment 1"),
        ({1: "not segment 2", 2: "segment 1"}, "segment 1 in segment 2 in segment 1"),
        ({1: "segment 2", 2: "segment 3 or segment 2"}, "segment 2 in segment 2"),
    ],
)
def test_an_audience_is_never_in_itself(definitions, way):
    saved = {number: Definition(Unit.PERSON, parse(text)) for number, text in definitions.items()}
    with pytest.raises(BadFilter, match=way):
        expanded(InSegment(1), saved)


def test_what_doubles_at_each_level_is_refused_before_it_is_large():
    saved = {
        number: Definition(Unit.PERSON, parse(f"segment {number + 1} or segment {number + 1}"))
        for number in range(18)
    }
    saved[18] = Definition(Unit.PERSON, parse("platform = ios"))
    with pytest.raises(BadFilter, match="including the audiences it references, at most"):
        expanded(InSegment(0), saved)


def test_what_is_too_much_together_is_refused():
    half = And(tuple(parse("person.plan = pro") for _ in range(MAX_NODES // 2)))
    saved = {1: Definition(Unit.PERSON, half)}
    expanded(InSegment(1), saved)
    with pytest.raises(BadFilter):
        expanded(And((InSegment(1), InSegment(1))), saved)


PRO = parse("person.plan = pro")


def of_conditions(number):
    """Two levels, so many conditions in all."""
    return And((PRO,) * (number - 1))


def of_levels(number):
    node = PRO
    for _ in range(number - 1):
        node = Not(node)
    return node


@pytest.mark.parametrize(
    ("node", "saved"),
    [
        (InSegment(1), of_conditions(MAX_NODES - 1)),
        (And((InSegment(1), PRO)), of_conditions(MAX_NODES - 3)),
        (And((InSegment(1), parse("any(platform = ios)"))), of_conditions(MAX_NODES - 4)),
        (InSegment(1), of_levels(MAX_DEPTH - 1)),
        (And((InSegment(1),)), of_levels(MAX_DEPTH - 2)),
        (Not(InSegment(1)), of_levels(MAX_DEPTH - 2)),
    ],
)
def test_together_they_may_have_as_many_levels_and_conditions_as_any_filter(node, saved):
    expanded(node, {1: Definition(Unit.PERSON, saved)})
    more = And((*saved.nodes, PRO)) if isinstance(saved, And) else Not(saved)
    with pytest.raises(BadFilter):
        expanded(node, {1: Definition(Unit.PERSON, more)})


def test_the_failing_clause_is_that_within_the_audience():
    saved = {1: Definition(Unit.DEVICE, parse("platform = ios and app = x"))}
    node = expanded(parse("segment 1"), saved)
    ios = Condition(Subject.DEVICE, "platform", OneOf(("ios",)))
    assert failing(node, EvaluationContext(BOTH, NOW, ANDROID)) == ios
    assert failing(node, EvaluationContext(BOTH, NOW)) == node
