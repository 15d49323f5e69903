"""What is refused of a request: by its path, its code, and with the name that was meant."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from pushkeeper.errors import BadRequest
from pushkeeper.services import typed


class Colour(StrEnum):
    RED = "red"
    NONE = ""


class Inner(Struct, kw_only=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(min_length=1, max_length=5)]
    count: Annotated[int, Meta(ge=1, le=9)] | None = None


class Outer(Struct, kw_only=True, forbid_unknown_fields=True):
    inner: Inner | None = None
    by_language: dict[str, Inner] = {}
    items: list[Inner] = []
    colour: Colour = Colour.RED
    word: Literal["a", "b"] | None = None
    rate: Annotated[float, Meta(gt=0)] = 1
    flag: bool = False
    few: Annotated[list[str], Meta(min_length=1, max_length=2)] | None = None


def refused(value: object) -> BadRequest:
    with pytest.raises(BadRequest) as raised:
        typed.read(value, Outer)
    return raised.value


@pytest.mark.parametrize(
    ("value", "path", "code"),
    [
        (3, ("body",), "wrong_type"),
        ({"inner": {}}, ("inner", "title"), "missing"),
        ({"inner": {"title": None}}, ("inner", "title"), "missing"),
        ({"inner": {"title": ""}}, ("inner", "title"), "missing"),
        ({"inner": {"title": "123456"}}, ("inner", "title"), "too_large"),
        ({"inner": {"title": "a", "count": 0}}, ("inner", "count"), "out_of_range"),
        ({"inner": {"title": "a", "count": 1.5}}, ("inner", "count"), "wrong_type"),
        ({"inner": {"title": "a", "titel": "b"}}, ("inner", "titel"), "unknown_field"),
        ({"items": [{"title": "a"}, {"title": 1}]}, ("items", 1, "title"), "wrong_type"),
        ({"colour": "reed"}, ("colour",), "unknown_value"),
        ({"word": "c"}, ("word",), "unknown_value"),
        ({"rate": 0}, ("rate",), "out_of_range"),
        ({"flag": "yes"}, ("flag",), "wrong_type"),
        ({"few": []}, ("few",), "out_of_range"),
        ({"few": ["a", "b", "c"]}, ("few",), "too_large"),
        ({"x" * 5_000: 1}, ("x" * 40,), "unknown_field"),
    ],
)
def test_what_is_wrong_has_a_path_and_a_code(value: object, path: tuple[str | int, ...], code: str) -> None:
    error = refused(value)
    assert (error.path, error.code) == (path, code)
    assert "`" not in error.problem.replace("`title`", "")


@given(st.dictionaries(st.text(max_size=5), st.just({"title": "a"}), min_size=1, max_size=40), st.data())
def test_the_entry_of_a_mapping_is_found(entries: dict[str, Any], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(entries)))
    error = refused({"by_language": {**entries, key: {"title": 1}}})
    assert (error.path, error.code) == (("by_language", key, "title"), "wrong_type")


def test_a_name_a_letter_away_is_suggested() -> None:
    assert "did you mean `title`?" in refused({"inner": {"title": "a", "titel": "b"}}).message
    assert "did you mean `by_language`?" in refused({"by_languages": {}}).message
    assert "did you mean" not in refused({"zzzzzz": {}}).message


def test_a_whole_number_may_be_written_with_a_fraction_of_nothing() -> None:
    read = typed.read({"inner": {"title": "a", "count": 4.0}, "items": [{"title": "b", "count": 2.0}]}, Outer)
    assert read == Outer(inner=Inner(title="a", count=4), items=[Inner(title="b", count=2)])


@given(st.text() | st.sampled_from(["a` - at `$.b[...]", "` - at `$[...].x", "a` - at `$.items[3]"]))
def test_any_name_that_is_none_of_ours_is_refused_as_such_or_at_worst_as_malformed(name: str) -> None:
    if name in {field.encode_name for field in msgspec.structs.fields(Outer)}:
        return
    assert refused({name: 1}).code == "unknown_field"


def test_a_word_may_be_written_in_any_case() -> None:
    assert typed.read({"colour": "Red", "word": "B"}, Outer) == Outer(colour=Colour.RED, word="b")
    assert refused({"colour": "Reed"}).code == "unknown_value"


def test_a_query_is_read_as_strings() -> None:
    class Query(Struct, kw_only=True, forbid_unknown_fields=True):
        limit: Annotated[int, Meta(ge=1, le=9)] = 5
        start: str | None = None

    assert typed.query({}, Query) == Query()
    assert typed.query({"limit": "4", "start": ""}, Query) == Query(limit=4, start="")
    for text, code in (("0", "out_of_range"), ("x", "wrong_type"), ("", "wrong_type")):
        with pytest.raises(BadRequest) as raised:
            typed.query({"limit": text}, Query)
        assert (raised.value.path, raised.value.code) == (("limit",), code)
    with pytest.raises(BadRequest, match="did you mean `limit`"):
        typed.query({"limt": "3"}, Query)
