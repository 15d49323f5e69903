"""Filters as people type them: the same tree as JSON's, and errors that say where."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.core.filters import from_text
from pushkeeper.core.filters.from_json import read
from pushkeeper.core.filters.from_text import parse
from pushkeeper.core.filters.nodes import MAX_DEPTH, BadFilter
from support.examples import examples


def attribute(field, operator="exists", **more):
    return {"attribute": {"field": field, "operator": operator, **more}}


IOS = attribute("platform", "eq", value="ios")
OLD = attribute("app_version", "lt", value="4.2")
PRO = attribute("plan", "eq", value="pro")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("platform = ios", {"device": IOS}),
        ("platform=ios", {"device": IOS}),
        (
            'platform = ios and app_version < 4.2 and person.plan = "pro"',
            {"and": [{"device": {"and": [IOS, OLD]}}, {"attribute": PRO["attribute"]}]},
        ),
        (
            "platform = ios and person.plan = pro and app_version < 4.2",
            {"and": [{"device": {"and": [IOS, OLD]}}, PRO]},
        ),
        ("platform = ios or person.plan = pro", {"or": [{"device": IOS}, PRO]}),
        ("not platform = ios", {"device": {"not": IOS}}),
        ("platform != ios", {"device": {"not": IOS}}),
        ("none(platform = ios)", {"device": {"match": "none", **IOS}}),
        ("all ( platform = ios or app_version < 4.2 )", {"device": {"match": "all", "or": [IOS, OLD]}}),
        (
            "person.plan = pro and (platform = ios or app_version < 4.2)",
            {"and": [PRO, {"device": {"or": [IOS, OLD]}}]},
        ),
        (
            "person.plan = pro AND NOT (person.plan exists OR platform = ios)",
            {"and": [PRO, {"not": {"or": [attribute("plan"), {"device": IOS}]}}]},
        ),
        (
            "a or b = 1 and c exists".replace("a or", "a exists or"),
            {"device": {"or": [attribute("a"), {"and": [attribute("b", "eq", value="1"), attribute("c")]}]}},
        ),
        ("last_status = unused", {"device": attribute("last_status", "eq", value="")}),
        ("last_status in (unused, sent)", {"device": attribute("last_status", "in", value=["", "sent"])}),
        (
            "last_status not in (bounced, suppressed)",
            {"device": {"not": attribute("last_status", "in", value=["bounced", "suppressed"])}},
        ),
        ("last_used within 30d", {"device": attribute("last_used", "within_last_s", value=2_592_000)}),
        ("last_used < 2026-07-01", {"device": attribute("last_used", "before", value="2026-07-01")}),
        ("person.born before 2000-01-01", attribute("born", "before", value="2000-01-01")),
        ("city starts with Ber", {"device": attribute("city", "starts_with", value="Ber")}),
        ('person."first name" contains "\\"n"', attribute("first name", "contains", value='"n')),
        ('"first name" exists', {"device": attribute("first name")}),
        ("strikes >= 1", {"device": attribute("strikes", "gte", value=1)}),
        ("attributes.platform = x", {"device": attribute("attributes.platform", "eq", value="x")}),
        ("segment 7", {"segment": {"id": 7}}),
        ("segment = 7", {"device": attribute("segment", "eq", value="7")}),
        ("event bought", {"event": {"name": "bought"}}),
        (
            'event "Order Completed" >= 3 within 1w',
            {"event": {"name": "Order Completed", "operator": "gte", "count": 3, "within_last_s": 604_800}},
        ),
        (
            "event bought < 1 since 2026-01-01",
            {"event": {"name": "bought", "operator": "lt", "count": 1, "since": "2026-01-01"}},
        ),
    ],
)
def test_a_text_is_the_same_filter_as_json(text, same):
    assert parse(text) == read(same)


@pytest.mark.parametrize(
    "part", ["not a exists", "(a exists or b exists)", "any(a exists)", "not (not a exists)"]
)
def test_what_is_long_is_not_refused_as_deep(part):
    for word in (" and ", " or "):
        assert parse(word.join([part] * (2 * MAX_DEPTH))) == parse(word.join([f"({part})"] * (2 * MAX_DEPTH)))


def test_a_filter_is_given_as_text_or_as_json():
    assert from_text.read("platform = ios") == from_text.read({"device": IOS}) == read({"device": IOS})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2m", 120), ("3h", 10_800), ("4d", 345_600), ("5w", 3_024_000)]
)
def test_a_duration_is_in_seconds_minutes_hours_days_or_weeks(text, seconds):
    same = {"device": attribute("last_used", "within_last_s", value=seconds)}
    assert parse(f"last_used within {text}") == read(same)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "unexpected end of the filter (character 1): expected a condition"),
        ("platform", "(character 9): expected =, !="),
        ("platform = ", "unexpected end of the filter (character 12): expected a value"),
        ("platform = nokia", "character 1: platform: expected ios or android or web"),
        ("platform = ios app = x", 'unexpected "app" after "ios" (character 16): use and / or, or remove it'),
        ("platform = ios and", "unexpected end of the filter (character 19): expected a condition"),
        ("(platform = ios", "unexpected end of the filter (character 16): expected and, or, or )"),
        ('plan = "pro', "a closing quotation mark is missing (character 8)"),
        ("plan ! x", 'unexpected "!" (character 6)'),
        ("last_used within soon", "(character 18): expected a time such as 90s"),
        ("any(person.plan = x)", "(character 4): expected conditions on devices only within any"),
        ("person. = x", 'unexpected "person." (character 1): expected a field name'),
        ("age > old", "character 1: age: expected a number or a version"),
        ("segment x", 'unexpected "x" (character 9): expected a segment number'),
        ("plan starts x", 'unexpected "x" (character 13): expected with'),
        ("plan in pro", 'unexpected "pro" (character 9): expected ('),
        ("(" * (MAX_DEPTH + 1), "more than 20 levels"),
        ("not " * (MAX_DEPTH + 1), "more than 20 levels"),
        (" or ".join(["a exists"] * 600), "at most 20 levels and 500 conditions"),
        ("a" * 20_001, "at most 20,000 bytes"),
    ],
)
def test_what_is_wrong_with_a_text_is_told_by_its_character(text, said):
    with pytest.raises(BadFilter) as refused:
        parse(text)
    assert said in str(refused.value)


pieces = st.sampled_from(
    [
        "and",
        "or",
        "not",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        "<=",
        "platform",
        "ios",
        '"x',
        'y"',
        "person.",
        "person.plan",
        "segment",
        "event",
        "7",
        "in",
        "within",
        "30d",
        "since",
        "any",
        "all",
        "none",
        "exists",
        "contains",
        "starts",
        "with",
        '"\\q"',
        "last_status",
        "unused",
        "!",
        '"',
    ]
)


@settings(max_examples=examples(500))
@given(st.lists(pieces, max_size=12).map(" ".join) | st.text(max_size=30))
def test_whatever_is_typed_is_a_filter_or_refused_by_character(text):
    try:
        parse(text)
    except BadFilter as refused:
        said = refused.message
    else:
        return
    assert re.search(r"character \d+", said)
