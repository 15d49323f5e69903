"""Customer.io's filter language: what is refused, and where."""

import pytest

from pushkeeper.core import filter  # noqa: A004 - the language's word
from pushkeeper.core.filter import BadFilter, Facts

ANN = Facts({"id": "42", "cio_id": "00000000002a"}, {"plan": "pro", "visits": 3, "vip": True}, {7})


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
def test_a_filter_is_true_of_a_person_or_not(given, true):
    assert filter.matches(filter.read(given), ANN) is true


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
        (attribute("plan", "gt", value=1), "filter.attribute.operator"),
        (attribute("plan", "eq"), "filter.attribute.value"),
        (attribute("plan", "eq", value="x" * 1001), "filter.attribute.value"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(given, place):
    with pytest.raises(BadFilter) as refused:
        filter.read(given)
    assert refused.value.place == place


def test_a_filter_too_deep_or_too_large_is_refused():
    deep = attribute("plan")
    for _ in range(filter.MAX_DEPTH):
        deep = {"not": deep}
    with pytest.raises(BadFilter):
        filter.read(deep)
    with pytest.raises(BadFilter):
        filter.read({"or": [attribute("plan")] * filter.MAX_NODES})
