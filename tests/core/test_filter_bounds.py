"""The words and the bounds of a filter: the last that is taken, and the first that is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pushkeeper.core.filters.evaluate import DeviceFacts, EvaluationContext, PersonFacts, matches
from pushkeeper.core.filters.from_json import read
from pushkeeper.core.filters.nodes import BadFilter

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def attribute(field: str, operator: Any, value: Any) -> dict[str, Any]:
    return {"attribute": {"field": field, "operator": operator, "value": value}}


def event(**more: Any) -> dict[str, Any]:
    return {"event": {"name": "bought", **more}}


@pytest.mark.parametrize(
    ("taken", "refused", "place"),
    [
        (event(count=0), event(count=-1), "filter.event.count"),
        (event(count=1_000_000), event(count=1_000_001), "filter.event.count"),
        (event(count=1), event(count=True), "filter.event.count"),
        (event(operator="lte"), event(operator="eq"), "filter.event.operator"),
        (event(), event(times=2), "filter.event"),
        (event(within_last_s=1), event(within_last_s=0), "filter.event.within_last_s"),
        ({"segment": {"id": (1 << 63) - 1}}, {"segment": {"id": 1 << 63}}, "filter.segment"),
        ({"segment": {"id": 0}}, {"segment": {"id": -1}}, "filter.segment"),
        ({"segment": {"id": 7}}, {"segment": {"id": 7, "name": "x"}}, "filter.segment"),
        (
            attribute("seen", "within_last_s", 3_162_240_000),
            attribute("seen", "within_last_s", 3_162_240_001),
            "filter.attribute.value",
        ),
        (
            attribute("seen", "within_last_s", 1),
            attribute("seen", "within_last_s", 0),
            "filter.attribute.value",
        ),
        (
            attribute("seen", "within_last_s", 1),
            attribute("seen", "within_last_s", value=True),
            "filter.attribute.value",
        ),
        (attribute("a", "eq", "é" * 500), attribute("a", "eq", "é" * 500 + "e"), "filter.attribute.value"),
        (attribute("a", "eq", "a b"), attribute("a", "eq", "a\0b"), "filter.attribute.value"),
        (attribute("a", "in", ["x"] * 1_000), attribute("a", "in", ["x"] * 1_001), "filter.attribute.value"),
        (attribute("a", "in", ["x"]), attribute("a", "in", ["x", "\0"]), "filter.attribute.value[1]"),
        (attribute("é" * 500, "eq", 1), attribute("é" * 500 + "e", "eq", 1), "filter.attribute.field"),
        (attribute("a", "eq", 1), attribute("a", 7, 1), "filter.attribute.operator"),
        (attribute("cio_id", "eq", "2a"), attribute("cio_id", "gt", 1), "filter.attribute.operator"),
    ],
)
def test_the_last_is_taken_and_the_next_is_not(taken: object, refused: object, place: str) -> None:
    read(taken)
    with pytest.raises(BadFilter) as found:
        read(refused)
    assert found.value.place == place


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("environment", ["", "production", "sandbox"]),
        ("platform", ["ios", "android", "web"]),
        ("last_status", ["", "sent", "bounced", "suppressed"]),
    ],
)
def test_a_field_of_devices_that_has_a_list_of_values_has_no_other(field: str, values: list[str]) -> None:
    read({"device": attribute(field, "in", values)})
    in_capitals = attribute(field, "eq", values[-1].upper())
    assert read({"device": in_capitals}) == read({"device": attribute(field, "eq", values[-1])})
    with pytest.raises(BadFilter):
        read({"device": attribute(field, "eq", "other")})


@pytest.mark.parametrize("field", ["created_at", "registered_at", "last_used"])
def test_a_time_of_a_device_is_compared_as_one(field: str) -> None:
    for operator in ("gt", "gte", "lt", "lte", "before", "after"):
        read({"device": attribute(field, operator, "2026-07-01")})
    with pytest.raises(BadFilter):
        read({"device": attribute(field, "lt", "soon")})


@pytest.mark.parametrize(
    ("operator", "value", "true"),
    [
        *(("eq", value, value == "15.0.1") for value in ("15.0.1", "15")),
        *((operator, "15", operator in {"gt", "gte"}) for operator in ("lt", "lte", "gt", "gte")),
        ("neq", "15", True),
        ("in", ["15", "15.0.1"], True),
        ("contains", "0.1", True),
        ("starts_with", "15.", True),
        ("starts_with", "0.", False),
    ],
)
def test_every_operator_is_that_of_its_name(operator: str, value: object, true: bool) -> None:  # noqa: FBT001
    phone = DeviceFacts({}, {"device_os": "15.0.1"})
    reading = EvaluationContext(PersonFacts({}, {"device_os": "15.0.1"}, devices=(phone,)), NOW)
    given = attribute("device_os", operator, value)
    assert matches(read(given), reading) is true
    assert matches(read({"device": given}), reading) is true
    assert matches(read({"device": attribute("attributes.device_os", operator, value)}), reading) is true


@pytest.mark.parametrize("operator", ["eq", "contains", "starts_with"])
def test_an_email_has_no_case_and_an_id_has_one(operator: str) -> None:
    reading = EvaluationContext(PersonFacts({"id": "Ann", "email": "Ann@Example.com"}, {}), NOW)
    assert matches(read(attribute("email", operator, "ANN@example.com")), reading)
    assert matches(read(attribute("id", operator, "Ann")), reading)
    assert not matches(read(attribute("id", operator, "ANN")), reading)
    assert matches(read(attribute("email", "in", ["BEN@example.com", "ANN@EXAMPLE.COM"])), reading)


def test_a_device_has_attributes_of_the_names_of_its_fields() -> None:
    phone = DeviceFacts({"platform": "ios"}, {"platform": "x"})
    reading = EvaluationContext(PersonFacts({}, {}, devices=(phone,)), NOW)
    assert matches(read({"device": attribute("platform", "eq", "ios")}), reading)
    assert matches(read({"device": attribute("attributes.platform", "eq", "x")}), reading)
