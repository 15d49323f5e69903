"""Customer.io's filter language: what is refused, and where."""

from datetime import UTC, datetime

import pytest

from pushkeeper.core.filters.evaluate import DeviceFacts, EvaluationContext, PersonFacts, failing, matches
from pushkeeper.core.filters.from_json import read
from pushkeeper.core.filters.nodes import (
    MAX_DEPTH,
    MAX_NODES,
    And,
    BadFilter,
    Condition,
    Not,
    OneOf,
    Or,
    SavedAudience,
    Subject,
    Unit,
    check_size,
    events_in,
)

ANN = PersonFacts({"id": "42", "cio_id": "00000000002a"}, {"plan": "pro", "visits": 3, "vip": True}, {7})

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def attribute(field, operator="exists", **more):
    return {"attribute": {"field": field, "operator": operator, **more}}


@pytest.mark.parametrize(
    ("given", "true"),
    [
        (attribute("plan"), True),
        (attribute("city"), False),
        (attribute("plan", "eq", value="pro"), True),
        (attribute("visits", "eq", value=3), True),
        (attribute("visits", "eq", value="3"), True),
        (attribute("visits", "eq", value="3.0"), True),
        (attribute("visits", "eq", value=True), False),
        (attribute("vip", "eq", value="true"), True),
        (attribute("vip", "eq", value=1), False),
        (attribute("id", "eq", value="42"), True),
        (attribute("email"), False),
        ({"segment": {"id": 7}}, True),
        ({"segment": {"id": 8}}, False),
        ({"not": {"segment": {"id": 8}}}, True),
        ({"and": []}, True),
        ({"or": []}, False),
        ({"and": [attribute("plan"), {"or": [attribute("city"), {"segment": {"id": 7}}]}]}, True),
    ],
)
def test_a_filter_matches_a_person_or_not(given, true):
    assert matches(read(given), EvaluationContext(ANN, NOW)) is true


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (None, "filter"),
        ([], "filter"),
        ({}, "filter"),
        ({"and": [], "or": []}, "filter"),
        ({"xor": []}, "filter"),
        ({"and": {}}, "filter.and"),
        ({"not": [attribute("plan")]}, "filter.not"),
        ({"and": [attribute("plan"), {"segment": {}}]}, "filter.and[1].segment"),
        ({"segment": {"id": "7"}}, "filter.segment"),
        ({"segment": {"id": True}}, "filter.segment"),
        ({"segment": {"id": 1 << 63}}, "filter.segment"),
        ({"attribute": "plan"}, "filter.attribute"),
        (attribute("plan", extra=1), "filter.attribute"),
        (attribute(""), "filter.attribute.field"),
        (attribute("a\0b"), "filter.attribute.field"),
        (attribute("plan", "like", value=1), "filter.attribute.operator"),
        (attribute("plan", "gt", value="pro"), "filter.attribute.value"),
        (attribute("plan", "gt", value="2026-01-31"), "filter.attribute.value"),
        (attribute("plan", "before", value="soon"), "filter.attribute.value"),
        (attribute("plan", "within_last_s", value="60"), "filter.attribute.value"),
        (attribute("plan", "in", value=[]), "filter.attribute.value"),
        (attribute("plan", "contains"), "filter.attribute.value"),
        (attribute("id", "gt", value=1), "filter.attribute.operator"),
        ({"device": []}, "filter.device"),
        ({"device": {"match": "some", **attribute("app")}}, "filter.device.match"),
        ({"device": {"segment": {"id": 1}}}, "filter.device"),
        ({"device": attribute("platform", "eq", value="nokia")}, "filter.device.attribute.value"),
        ({"device": attribute("last_status", "gt", value=1)}, "filter.device.attribute.operator"),
        ({"device": attribute("last_used", "eq", value=1)}, "filter.device.attribute.operator"),
        ({"device": attribute("strikes", "contains", value="1")}, "filter.device.attribute.operator"),
        ({"event": {}}, "filter.event.name"),
        ({"event": {"name": "x", "count": -1}}, "filter.event.count"),
        ({"event": {"name": "x", "operator": "eq"}}, "filter.event.operator"),
        ({"event": {"name": "x", "since": "x"}}, "filter.event.since"),
        (attribute("plan", "eq"), "filter.attribute.value"),
        (attribute("plan", "eq", value="x" * 1001), "filter.attribute.value"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(given, place):
    with pytest.raises(BadFilter) as refused:
        read(given)
    assert refused.value.place == place


def nested(levels):
    """A filter of so many levels."""
    deep = attribute("plan")
    for _ in range(levels - 1):
        deep = {"not": deep}
    return deep


def test_a_filter_may_have_twenty_levels_and_five_hundred_conditions():
    for most in (nested(20), {"or": [attribute("plan")] * 499}, {"and": [{"or": [nested(2)] * 249}]}):
        check_size(read(most))
    for given in (nested(21), {"or": [attribute("plan")] * 500}, {"and": [{"or": [nested(2)] * 250}]}):
        with pytest.raises(BadFilter):
            read(given)


def test_what_others_were_put_into_may_have_as_many():
    plan = read(attribute("plan"))
    deep = plan
    for _ in range(MAX_DEPTH - 1):
        deep = Not(deep)
    for most in (deep, Or((plan,) * (MAX_NODES - 1))):
        check_size(most)
        with pytest.raises(BadFilter):
            check_size(And((most,)))


def test_a_filter_says_what_it_needs():
    bought = {"event": {"name": "bought"}}
    seen = {"event": {"name": "seen", "count": 1_000_000}}
    node = read({"and": [bought, {"not": {"or": [seen, attribute("plan")]}}]})
    assert events_in(node) == {"bought", "seen"}
    assert events_in(SavedAudience(1, Unit.PERSON, node)) == {"bought", "seen"}
    assert read(bought) == read({"event": {"name": "bought", "operator": "gte", "count": 1}})
    with pytest.raises(BadFilter):
        read({"event": {"name": "seen", "count": 1_000_001}})


IPHONE = DeviceFacts({"platform": "ios", "last_status": "suppressed"}, {"app_version": "4.10"})
PIXEL = DeviceFacts({"platform": "android", "last_status": "sent"}, {"app_version": "4.2"})
TWO_PHONES = PersonFacts({"id": "ann"}, {}, devices=(IPHONE, PIXEL))
SUPPRESSED = attribute("last_status", "eq", value="suppressed")


@pytest.mark.parametrize(
    ("given", "of_person", "of_iphone", "of_pixel"),
    [
        ({"device": SUPPRESSED}, True, True, False),
        ({"not": {"device": SUPPRESSED}}, False, False, True),
        ({"device": {"not": SUPPRESSED}}, True, False, True),
        ({"device": {"match": "all", **SUPPRESSED}}, False, True, False),
        ({"device": {"match": "none", **SUPPRESSED}}, False, False, True),
        (
            {"device": {"and": [SUPPRESSED, attribute("platform", "eq", value="android")]}},
            False,
            False,
            False,
        ),
        (
            {"and": [{"device": SUPPRESSED}, {"device": attribute("platform", "eq", value="android")}]},
            True,
            False,
            False,
        ),
        ({"device": attribute("app_version", "lt", value="4.9")}, True, False, True),
        ({"device": attribute("app_version", "gte", value="v4.10.0")}, True, True, False),
    ],
)
def test_people_and_devices_are_different_audiences(given, of_person, of_iphone, of_pixel):
    node = read(given)
    assert matches(node, EvaluationContext(TWO_PHONES, NOW)) is of_person
    assert matches(node, EvaluationContext(TWO_PHONES, NOW, IPHONE)) is of_iphone
    assert matches(node, EvaluationContext(TWO_PHONES, NOW, PIXEL)) is of_pixel


def test_the_clause_that_keeps_a_device_out_is_found():
    android = attribute("platform", "eq", value="android")
    first, second = {"segment": {"id": 7}}, {"device": {"and": [SUPPRESSED, android]}}
    node = read({"and": [first, second]})
    ann = PersonFacts({}, {}, {7}, (IPHONE,))
    assert failing(node, EvaluationContext(ann, NOW, IPHONE)) == Condition(
        Subject.DEVICE, "platform", OneOf(("android",))
    )
    assert failing(node, EvaluationContext(ann, NOW)) == read(second)
    assert failing(node, EvaluationContext(TWO_PHONES, NOW)) == read(first)
    assert failing(read(first), EvaluationContext(ann, NOW)) is None
