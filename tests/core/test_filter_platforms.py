"""The platforms that an audience can reach."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.filters.evaluate import DeviceFacts, EvaluationContext, PersonFacts, matches
from pushkeeper.core.filters.from_text import parse
from pushkeeper.core.filters.nodes import (
    And,
    Condition,
    DeviceCondition,
    Exists,
    Match,
    Node,
    Not,
    OneOf,
    Or,
    SavedAudience,
    Subject,
    Unit,
)
from pushkeeper.core.filters.platforms import platforms
from pushkeeper.core.model import PHONES, Platform

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PLATFORM = st.lists(st.sampled_from([one.value for one in Platform]), min_size=1, max_size=2).map(
    lambda values: Condition(Subject.DEVICE, "platform", OneOf(tuple(values)))
)
LEAF = PLATFORM | st.sampled_from(
    [Condition(Subject.PERSON, "plan", OneOf(("pro",))), Condition(Subject.DEVICE, "platform", Exists())]
)
NODES: st.SearchStrategy[Node] = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda nodes: And(tuple(nodes)))
        | st.lists(inner, max_size=3).map(lambda nodes: Or(tuple(nodes)))
        | inner.map(Not)
        | st.builds(DeviceCondition, inner, st.sampled_from(Match))
        | st.builds(SavedAudience, st.just(1), st.sampled_from(Unit), inner)
    ),
    max_leaves=8,
)


@given(node=NODES, platform=st.sampled_from(Platform), plan=st.sampled_from(["pro", "free"]))
def test_no_device_is_reached_on_a_platform_that_is_not_named(
    node: Node, platform: Platform, plan: str
) -> None:
    device = DeviceFacts(fields={"platform": platform.value}, attributes={})
    facts = PersonFacts(
        identifiers={}, attributes={"plan": plan}, segments=frozenset(), devices=[device], events=[]
    )
    if matches(node, EvaluationContext(facts, NOW, device)):
        assert platform in platforms(node, Unit.DEVICE)


IOS = parse("platform = ios")
NOT_IOS = {Platform.ANDROID, Platform.WEB}


@pytest.mark.parametrize(
    ("node", "reached"),
    [
        (IOS, {Platform.IOS}),
        (Not(IOS), NOT_IOS),
        (parse("platform = web"), {Platform.WEB}),
        (parse("platform in (ios, web)"), {Platform.IOS, Platform.WEB}),
        (parse("none(platform = ios)"), NOT_IOS),
        (parse("all(platform = ios)"), {Platform.IOS}),
        (And((IOS, parse("platform = android"))), set()),
        (And((IOS, parse("person.plan = pro"))), {Platform.IOS}),
        (Or((IOS, parse("platform = android"))), set(PHONES)),
        (Or((IOS, parse("person.plan = pro"))), set(Platform)),
        (Not(Or((IOS, parse("platform = web")))), {Platform.ANDROID}),
        (Not(And((IOS, parse("platform = web")))), set(Platform)),
        (And(()), set(Platform)),
        (Or(()), set()),
        (SavedAudience(1, Unit.DEVICE, IOS), {Platform.IOS}),
        (Not(SavedAudience(1, Unit.DEVICE, IOS)), NOT_IOS),
        (SavedAudience(1, Unit.PERSON, IOS), set(Platform)),
        (Condition(Subject.DEVICE_ATTRIBUTE, "platform", OneOf(("ios",))), set(Platform)),
    ],
)
def test_a_filter_that_names_platforms_reaches_those_alone(node: Node, reached: set[Platform]) -> None:
    assert set(platforms(node, Unit.DEVICE)) == reached


@given(node=NODES)
def test_people_may_have_any_device(node: Node) -> None:
    assert platforms(node, Unit.PERSON) == tuple(Platform)
