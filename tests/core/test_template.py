"""Liquid: what it says, and that nothing written in it can run away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.messages.liquid import (
    MAX_OUTPUT_CHARACTERS,
    MAX_SOURCE_CHARACTERS,
    BadTemplate,
    RenderError,
    WhenUndefined,
    compile_text,
    is_liquid,
)

VALUES = {"customer": {"first_name": "Ann", "tags": ["a", "b"]}, "trigger": {"order": 42}}

SAID = [
    ("Hello {{ customer.first_name }}", "Hello Ann"),
    ("{{ trigger.order | plus: 1 }}", "43"),
    ("{{ customer.nickname | default: 'you' }}", "you"),
    ("{% if customer.nickname %}a{% else %}b{% endif %}", "b"),
    ("{% if nobody.knows == 'x' %}a{% else %}b{% endif %}", "b"),
    ("{% for tag in customer.tags %}{{ tag | upcase }}{% endfor %}", "AB"),
    ("{{ customer.tags | join: ', ' }}", "a, b"),
    ("{{ '<b>' }}", "<b>"),  # a push is no web page
    ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
    ("{{ customer.first_name | replace: 'n', 'm' }}", "Amm"),
]


@pytest.mark.parametrize(("text", "said"), SAID)
def test_it_says(text: str, said: str) -> None:
    assert compile_text(text).render(VALUES) == said


@pytest.mark.parametrize("text", ["{{ customer.nickname }}", "{{ nobody.knows }}", "{{ nobody | upcase }}"])
def test_a_value_that_is_missing_fails_or_is_empty_as_the_author_chose(text: str) -> None:
    with pytest.raises(RenderError, match="undefined"):
        compile_text(text).render(VALUES)
    assert compile_text(text, WhenUndefined.EMPTY).render(VALUES) == ""


BAD = [
    ("Hello {{ customer.name", "line 1, column 7"),
    ("one\ntwo {% if %}x{% endif %}", "line 2, column 8"),
    ("{% nonsense %}", "line 1, column 4: unexpected tag"),
    ("one\n{{ x | shout }}", "line 2, column 8: unknown filter 'shout'"),
    ("{% include 'etc/passwd' %}", "unexpected tag 'include'"),
    ("{% render 'x' %}", "unexpected tag 'render'"),
    ("{% if x %}" * 2_000, ""),
    ("x" * MAX_SOURCE_CHARACTERS + "{{ y }}", f"at most {MAX_SOURCE_CHARACTERS}"),
]


@pytest.mark.parametrize(("text", "where"), BAD)
def test_what_is_no_liquid_is_refused_with_its_position(text: str, where: str) -> None:
    with pytest.raises(BadTemplate) as refused:
        compile_text(text)
    assert where in str(refused.value)


DOUBLED = "{% assign x = x | append: x %}"
RUNAWAYS = [
    "{% for i in (1..100000000) %}x{% endfor %}",
    "{% for i in (1..4000) %}{% for j in (1..4000) %}{% endfor %}{% endfor %}",
    "{% tablerow i in (1..100000000) %}x{% endtablerow %}",
    "{% assign x = 'xxxxxxxx' %}" + "{% for i in (1..4000) %}" + DOUBLED + "{% endfor %}{{ x }}",
    "{% assign x = 9999 %}{% for i in (1..4000) %}{% assign x = x | times: x %}{% endfor %}{{ x }}",
    "{% assign x = 'xxxxxxxxxx' %}{{ x" + " | replace: 'x', x" * 12 + " }}",
    "{% assign x = 'x' %}{{ x" + " | replace: '', 'xxxxxxxxxxxxxxxxxxxx'" * 12 + " }}",
    "{% assign x = 'x,x,x,x,x,x,x,x' %}{{ x" + " | split: '' | join: 'xxxxxxxxxxxxxxxxx'" * 12 + " }}",
    "{{ 'x'" + " | url_encode | base64_encode" * 300 + " }}",
    "{% for i in (1..4000) %}" + "{{ 'x' | upcase | downcase | strip }}" * 60 + "{% endfor %}",
    "{% for i in (1..4000) %}" + "x" * 100 + "{% endfor %}",
    "{{ 1 | divided_by: 0 }}",
    "{{ 'x' | slice: 'y' }}",
]


@pytest.mark.parametrize("text", RUNAWAYS)
def test_what_would_run_away_or_fail_is_stopped(text: str) -> None:
    with pytest.raises(RenderError):
        compile_text(text).render(VALUES)


def test_it_is_compiled_once() -> None:
    assert compile_text("{{ a }} once") is compile_text("{{ a }} once")


@pytest.mark.parametrize(
    ("text", "found"), [("Hello", False), ("{ a }", False), ("{{ a }}", True), ("{% a %}", True)]
)
def test_liquid_is_told_by_its_braces(text: str, found: bool) -> None:  # noqa: FBT001 - a table's column
    assert is_liquid(text) is found


pieces = st.sampled_from(
    [
        *(
            "{{ ",
            " }}",
            "{% ",
            " %}",
            "for i in (1..9)",
            "endfor",
            "if ",
            "endif",
            "assign x = ",
            "capture x",
        ),
        *("endcapture", "customer", ".", "first_name", " | ", "upcase", "append: ", "'a'", "x", "9", " "),
        *("size", "join: ", "split: ''", "times: ", "cycle 'a', 'b'", "unless ", "liquid", "\n", "echo x"),
    ]
)


@given(st.lists(pieces, max_size=25))
def test_whatever_is_written_is_refused_rendered_within_bounds_or_not_renderable(parts: list[str]) -> None:
    try:
        said = compile_text("".join(parts)).render(VALUES)
    except (BadTemplate, RenderError):
        return
    assert len(said) <= MAX_OUTPUT_CHARACTERS + MAX_SOURCE_CHARACTERS
