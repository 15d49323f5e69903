"""What Liquid costs: for each filter and tag that python-liquid has, no unit of a budget takes longer than it may."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.core.messages import liquid
from pushkeeper.core.messages.liquid import MAX_UNITS, BadTemplate, Budget, RenderError, compile_text
from pushkeeper.core.messages.liquid_source import MAX_SOURCE_CHARACTERS

MAX_S_PER_UNIT = 1e-6  # on a busy machine; on a quiet one it is a tenth
GRACE_S = 0.02
N = 4_000

TEXTS = [
    *(
        "a",
        "b",
        " ",
        "\r\n",
        ",",
        "9",
        "-",
        "ü",
        "<",
        "<!",
        "<a ",
        "</a",
        "<!--",
        "<script>",
        '<a b="',
        "<a/ ",
    ),
    *("&", "&amp", "&#1", "%41", "12:", "1 1", "1.", "jan "),
]
VALUES: dict[str, Any] = {
    **{text: (text * N)[:N] + ">" for text in TEXTS},
    "numbers": list(range(N)),
    "same": [1] * N,
    "fractions": [number / 7 for number in range(N)],
    "words": [str(number) for number in range(N, 0, -1)],
    "objects": [{"x": N - number} for number in range(N // 4)],
    "alike": [{"x": [1] * 50 + [number]} for number in range(N // 60)],
    "nested": [[[[[[number]]]]] for number in range(N // 6)],
    "prefixes": ["a" * 300 + str(number) for number in range(N // 300)],
    "members": {str(number): number for number in range(N // 4)},
    "huge": [10**4_000] * 10,
    "number": 7,
}
ARGS: list[list[Any]] = [
    [],
    *(
        [one]
        for one in ("x", "a", "", "a" * (N // 2) + "b", "b" + "a" * (N // 2), 3, 10**4_000, "%Y" * N, "%c")
    ),
    *(["a", "b" * N], ["", "bb"], ["x", [1] * 50 + [3]], [0, N], [list(range(N))]),
]


def spent_on(text: str, values: dict[str, Any]) -> tuple[int, float]:
    """The units that a text was charged, and the CPU-seconds that it took."""
    compiled, budget = compile_text(text), Budget()
    started = time.thread_time()
    with suppress(RenderError):
        compiled.render(values, budget)
    return MAX_UNITS - max(budget.left, 0), time.thread_time() - started


def assert_charged(text: str, values: dict[str, Any]) -> None:
    for _ in range(3):
        units, took_s = spent_on(text, values)
        if took_s <= units * MAX_S_PER_UNIT + GRACE_S:
            return
    pytest.fail(f"{text}: {took_s * 1_000:.0f} ms for {units} units")


@pytest.mark.parametrize("name", sorted(liquid._FILTERS))
def test_a_filter_takes_no_longer_than_it_is_charged_for(name: str) -> None:
    for args in ARGS:
        named = {f"arg{number}": arg for number, arg in enumerate(args)}
        text = "{{ value | " + name + (": " + ", ".join(named) if named else "") + " | size }}"
        for value in VALUES.values():
            assert_charged(text, {"value": value, **named})


@pytest.mark.parametrize("name", sorted(liquid._FILTERS))
def test_what_goes_into_a_filter_is_charged_for_before_it_runs(name: str) -> None:
    """Also a filter that a new version of the library may bring."""
    with pytest.raises(RenderError, match="too much work"):
        compile_text("{{ value | " + name + " }}").render({"value": list(range(MAX_UNITS))})
    with pytest.raises(RenderError, match="too much work"):
        compile_text("{{ 'x' | " + name + ": value }}").render({"value": "x" * MAX_UNITS})


LINEAR = sorted(liquid._FILTERS - {"date", "strip_html", "remove_last", "replace_last", "replace"})


@pytest.mark.parametrize("name", LINEAR)
def test_twice_as_much_for_a_filter_is_charged_at_most_2_3_fold(name: str) -> None:
    text = "{{ value | " + name + " | size }}"
    for kind in ("<a ", "words", "objects", "alike", "nested", "numbers"):
        once = VALUES[kind][: N // 8]
        single, _ = spent_on(text, {"value": once})
        double, _ = spent_on(text, {"value": once * 2})
        assert double <= 2.3 * single


MANY = {"a": list(range(N)), "b": list(range(N)), "o": {"a": {"a": [[1] * N]}}, "s": "x" * N, "c": {"x": 1}}
ROUNDS = "{% for i in (1..5000) %}"
LOOPED = [
    "",
    "{% comment %}{% endcomment %}" * 200,
    "{% if false %}{% elsif false %}{% elsif false %}{% endif %}" * 50,
    "".join(f"{{% assign v{number} = 1 %}}" for number in range(800)),
    "{% if a contains -1 %}{% endif %}",
    "{% if a == b %}{% endif %}",
    "{% if o.a == o.a %}{% endif %}",
    "{% if s contains 'xxxxxxxxxxy' %}{% endif %}",
    "{% if s == s %}{% endif %}",
    "{% case a %}{% when b %}{% when b, b, b %}{% endcase %}",
    "{% cycle a, b %}",
    "{% capture x %}{{ s }}{% endcapture %}",
    "{% capture x %}{{ a }}{% endcapture %}",
    "{% ifchanged %}{{ i }}{% endifchanged %}",
    "{% ifchanged %}{{ s }}{% endifchanged %}",
    "{% for j in a reversed limit: 1 %}{% endfor %}",
    "{% for j in a offset: 3999 %}{% endfor %}",
    "{% for j in (1..5000) reversed limit: 1 %}{% endfor %}",
    "{% for j in (1..5000) offset: 4999 %}{% endfor %}",
    "{% for j in a %}{% break %}{% endfor %}",
    "{% continue %}",
    "{% tablerow j in a limit: 1 %}{% endtablerow %}",
    "{% assign y = a | where: 'x', 1 %}",
    "{% assign y = a | sum %}",
    "{% assign y = a | uniq %}",
    "{% assign y = a | first %}",
    "{% liquid\n" + "assign x = i\n" * 100 + "%}",
    "{% increment n %}",
    "{% unless true %}{% endunless %}" * 100,
    "{% for j in '" + "x" * 15_000 + "' %}{% endfor %}",
    "{{ i" + " | abs" * 1_000 + " }}",
    "{% if i" + " or i" * 300 + " %}{% endif %}",
    "{% if nobody[nobody[nobody[i]]] %}{% endif %}" * 20,
    "{{ c.x }}{{ c['x'] }}" * 100,
    "{% echo a | size %}",
    "{% doc %}x{% enddoc %}" * 200,
    "{% # x %}" * 200,
]


@pytest.mark.parametrize("inner", LOOPED, ids=lambda inner: inner[:40])
def test_a_tag_takes_no_longer_than_it_is_charged_for(inner: str) -> None:
    assert_charged(ROUNDS + inner + "{% endfor %}", MANY)


@pytest.mark.parametrize("depth", [1, 5, 15])
def test_a_variable_within_many_loops_takes_no_longer_than_it_is_charged_for(depth: int) -> None:
    inner = "".join(f"{{% for j{number} in (1..1) %}}" for number in range(depth))
    assert_charged(ROUNDS + inner + "{% if c.x %}{% endif %}" * 50 + "{% endfor %}" * (depth + 1), MANY)


def test_every_tag_of_the_library_is_in_what_is_timed() -> None:
    known = set(liquid._ENVIRONMENTS[liquid.WhenUndefined.FAIL].tags)
    internal = {name for name in known if not name.islower()} | {"content", "output", "illegal", "statement"}
    untimed = {name for name in known - internal if "{% " + name not in ROUNDS + "".join(LOOPED)}
    assert untimed <= {"decrement", "inline_comment"}


RANGE = "(1..5002)"
WHERE_A_RANGE_CAN_BE = [
    "{{ " + RANGE + " }}",
    "{{ " + RANGE + " | size }}",
    "{{ 'x' | append: " + RANGE + " }}",
    "{% assign x = " + RANGE + " %}",
    "{% echo " + RANGE + " %}",
    "{% for i in " + RANGE + " %}{% endfor %}",
    "{% for i in " + RANGE + " reversed limit: 1 %}{% endfor %}",
    "{% for i in " + RANGE + " offset: 5000 %}{% endfor %}",
    "{% tablerow i in " + RANGE + " %}{% endtablerow %}",
    "{% if " + RANGE + " contains 3 %}{% endif %}",
    "{% if 1 == " + RANGE + " %}{% endif %}",
    "{% if false %}{% elsif " + RANGE + " contains 3 %}{% endif %}",
    "{% unless " + RANGE + " contains 3 %}{% endunless %}",
    "{% unless true %}{% elsif " + RANGE + " contains 3 %}{% endunless %}",
    "{% case " + RANGE + " %}{% when 1 %}{% endcase %}",
    "{% case 1 %}{% when " + RANGE + " %}{% endcase %}",
    "{% case 1 %}{% when 1 %}{% else %}{% endcase %}{% cycle " + RANGE + " %}",
    "{% liquid\nassign x = " + RANGE + "\n%}",
    "{% capture x %}{{ " + RANGE + " }}{% endcapture %}",
    "{% ifchanged %}{{ " + RANGE + " }}{% endifchanged %}",
]


@pytest.mark.parametrize("text", WHERE_A_RANGE_CAN_BE)
def test_a_range_is_bounded_where_it_is_made(text: str) -> None:
    for number in ("5002", "99999999", "9" * 30):
        with pytest.raises(RenderError, match="a range has at most 5000 numbers"):
            compile_text(text.replace("5002", number)).render({})


def test_one_budget_is_shared_by_all_that_is_rendered_with_it() -> None:
    budget = Budget(6_000)
    compiled = compile_text("{{ 'x' | append: s }}")
    compiled.render({"s": "x" * 1_000}, budget)
    with pytest.raises(RenderError, match="too much work"):
        compiled.render({"s": "x" * 1_000}, budget)


WRONG_VALUES = [
    ("{{ a | compact: 'x' }}", [{}]),
    ("{{ a | uniq: 0 }}", [1]),
    ("{{ a | date: '%Y' }}", "9" * 30),
    ("{{ a | sum }}", ["1e9999999999999999999"]),
    ("{{ a | base64_decode }}", "/w=="),
    ("{{ a | times: a }}", 10**4_290),
]


@pytest.mark.parametrize(("text", "value"), WRONG_VALUES)
def test_whatever_a_filter_cannot_do_is_a_reason_and_no_error(text: str, value: object) -> None:
    with pytest.raises(RenderError):
        compile_text(text).render({"a": value})


FILL = {
    "{{": "{{",
    "{{ space": "{{" + " " * 19_000,
    "{% space": "{% if" + " " * 19_000 + "%}{% endif %}",
    "{% liquid space": "{% liquid\n" + " " * 19_000 + "%}",
    "{{{": "{{{" * 6_000,
    "{%a": "{%" + "a" * 19_000,
    "raw": "{% raw %}" * 2_000,
    "doc": "{% doc %}" * 2_000,
    "(": "{{ " + "(" * 19_000 + " }}",
    "[": "{{ a" + "[a" * 5_000 + " }}",
    "['": "{{ a" + "['" * 9_000 + " }}",
    "'": "{{ " + "'a" * 9_000 + " }}",
    "variables": "{{a}}" * 4_000,
    "filters": "{{ a" + "|abs" * 4_900 + "}}",
    "arguments": "{{ a | abs: " + "1," * 9_900 + "1 }}",
    "path": "{{ a" + ".b" * 9_900 + " }}",
    "spaces": ("{{ a" + " " * 90 + "}}") * 200,
    "spaces in a tag": ("{% if" + " " * 90 + "%}") * 190,
    "spaces in lines": "{% liquid\n" + (" " * 90 + "echo a\n") * 200 + "%}",
    "ifs": "{% if a %}" * 1_900,
    "or": "{% if a" + " or a" * 3_900 + " %}{% endif %}",
    "comments": "{% comment %}" * 1_500,
    "cycle": "{% cycle " + "a," * 9_900 + "a %}",
    "closed": "{% if a %}{% endif %}" * 900,
}


@pytest.mark.parametrize("text", FILL.values(), ids=FILL)
def test_compiling_takes_time_in_proportion_to_the_text(text: str) -> None:
    for _ in range(3):
        started = time.thread_time()
        with suppress(BadTemplate):
            liquid._compile(text, liquid.WhenUndefined.FAIL)
        if (took_s := time.thread_time() - started) < 0.5:
            return
    pytest.fail(f"{took_s:.2f} s for {len(text)} characters")


def test_what_is_remembered_of_compiled_texts_is_bounded_by_their_characters() -> None:
    cache = liquid._Cache()
    for number in range(60):
        cache.get(f"{{{{ a }}}} {number}".ljust(MAX_SOURCE_CHARACTERS, "x"), liquid.WhenUndefined.FAIL)
    assert cache.characters == sum(len(text) for text, _ in cache._compiled) <= liquid._MAX_CACHED_CHARACTERS
    assert len(cache._compiled) == liquid._MAX_CACHED_CHARACTERS // MAX_SOURCE_CHARACTERS


inner_texts = st.lists(st.sampled_from(LOOPED), max_size=4).map("".join)


@settings(deadline=None)
@given(inner_texts, inner_texts, st.integers(0, 70), st.integers(0, 70))
def test_whatever_is_written_takes_no_longer_than_a_budget(
    one: str, other: str, outer: int, within: int
) -> None:
    text = (
        f"{{% for k in (1..{outer}) %}}{one}{{% for i in (1..{within}) %}}{other}{{% endfor %}}{{% endfor %}}"
    )
    try:
        assert_charged(text, MANY)
    except BadTemplate:
        assert len(text) > MAX_SOURCE_CHARACTERS
