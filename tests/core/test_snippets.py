"""Texts that messages share: which ones a text uses, and what they say where they are used."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.messages.liquid import BadTemplate, Budget, RenderBudgetExceeded, compile_text
from pushkeeper.core.messages.personalize import (
    BadContent,
    MessageRenderer,
    PersonalizedContent,
    RenderContext,
    RenderError,
    WhenUndefined,
    snippets_of,
)
from pushkeeper.core.model import Content, Platform

ANN = RenderContext(person={"name": "Ann", "plan": "pro"}, device={})
NAMES = st.text(string.ascii_letters + string.digits + " _-é", min_size=1, max_size=12)


def said(title: str, snippets: dict[str, str], when: WhenUndefined = WhenUndefined.FAIL) -> str | None:
    speaker = MessageRenderer(
        Content(title=title), PersonalizedContent(snippets=snippets, when_undefined=when)
    )
    return speaker.say(ANN, Platform.IOS).title


@given(st.sets(NAMES, min_size=1, max_size=4), st.sampled_from(["'", '"']))
def test_every_snippet_that_is_named_is_found(names: set[str], quote: str) -> None:
    text = "".join(f"{{{{ snippets[{quote}{name}{quote}] | upcase }}}}" for name in names)
    assert snippets_of([text, "nothing"]) == names
    assert said(text, {name: f"<{name}>" for name in names}) == "".join(f"<{name}>".upper() for name in names)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{{ snippets.a }}{{ snippets.a.size }}{{ snippets.b-c[0].d }}", {"a", "b-c"}),
        ("{% if snippets.a == 'x' %}{{ snippets['b c'] }}{% endif %}", {"a", "b c"}),
        ("{% for one in snippets.list %}{{ one }}{% endfor %}", {"list"}),
        ("{% assign snippets = trigger %}{{ snippets.a }}", set()),
        ("{{ trigger.snippets.a }} snippets.a {% raw %}{{ snippets.a }}{% endraw %}", set()),
        ("{{ ['snippets'].a }}", {"a"}),
    ],
)
def test_only_what_is_read_of_them_is_a_name(text: str, names: set[str]) -> None:
    assert compile_text(text).snippets == names


@pytest.mark.parametrize(
    "text", ["{{ snippets }}", "{{ snippets[customer.plan] }}", "{{ snippets[0] }}", "{{ snippets | size }}"]
)
def test_a_name_that_is_not_written_out_is_refused_where_it_stands(text: str) -> None:
    with pytest.raises(BadTemplate, match="column 4: snippets: expected the name"):
        compile_text(text)


def test_a_snippet_is_rendered_for_each_person() -> None:
    snippets = {"hi": "Hi {{ customer.name }}", "plain": "<b>Tea</b>"}
    assert said("{{ snippets.hi }}, {{ snippets.plain }}", snippets) == "Hi Ann, <b>Tea</b>"


def test_json_is_data() -> None:
    snippets = {"list": '[{"hi": "Hey"}, {"hi": "Ho"}]', "of": '{"a": {"b": 3}}', "bad": "[a"}
    title = "{{ snippets.list[1].hi }}{{ snippets.of.a.b }}{{ snippets.bad }}{{ snippets.list.size }}"
    assert said(title, snippets) == "Ho3[a2"


def test_a_missing_one_is_as_a_missing_variable() -> None:
    with pytest.raises(RenderError, match=r"snippets\.gone is undefined"):
        said("{{ snippets.gone }}", {"other": "x"})
    with pytest.raises(RenderError, match=r"snippets\.gone is undefined"):
        said("{{ snippets.gone }}", {})
    assert said("{{ snippets.gone | default: 'x' }}", {}) == "x"
    assert said("a{{ snippets.gone }}", {}, WhenUndefined.EMPTY) == "a"


def test_what_a_snippet_lacks_is_said_only_where_it_is_used() -> None:
    snippets = {"needs": "{{ customer.city }}"}
    assert said("{% if false %}{{ snippets.needs }}{% endif %}ok", snippets) == "ok"
    with pytest.raises(RenderError, match=r"customer\.city is undefined"):
        said("{{ snippets.needs }}", snippets)
    assert said("in {{ snippets.needs }}", snippets, WhenUndefined.EMPTY) == "in "


def test_a_snippet_is_charged_to_the_push_and_rendered_once() -> None:
    loop = {"loop": "{% for n in (1..1000) %}{{ n }}{% endfor %}"}
    speaker = MessageRenderer(Content(title="{{ snippets.loop | size }}"), PersonalizedContent(snippets=loop))
    plain = MessageRenderer(Content(title="{{ trigger.x | size }}"), PersonalizedContent(data={"x": ""}))
    many = MessageRenderer(
        Content(title="{{ snippets.loop | size }}" * 5), PersonalizedContent(snippets=loop)
    )
    spent = []
    for one in (speaker, plain, many):
        budget = Budget()
        before = budget.left
        one.say(ANN, Platform.IOS, budget)
        spent.append(before - budget.left)
    once, without, five = spent
    assert once > without + 20_000
    assert five < 2 * once
    with pytest.raises(RenderBudgetExceeded):
        speaker.say(ANN, Platform.IOS, Budget(10_000))


def test_what_takes_long_in_a_snippet_is_not_quick() -> None:
    content = Content(title="{{ snippets.a }}")
    for value, quick in (
        ("plain", True),
        ("{{ customer.name | upcase }}", True),
        ("{{ 'now' | date: '%Y' }}", False),
    ):
        assert MessageRenderer(content, PersonalizedContent(snippets={"a": value})).is_quick_for(ANN) is quick
    assert not MessageRenderer(content, PersonalizedContent(snippets={"a": "x" * 5_000})).is_quick_for(ANN)


def test_a_snippet_that_is_no_liquid_is_refused_by_its_name() -> None:
    with pytest.raises(BadContent) as refused:
        said("{{ snippets.a }}", {"a": "{{ b"})
    assert refused.value.field == "snippets"
