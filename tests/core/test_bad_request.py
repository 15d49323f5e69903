"""A refused field as data: its path is kept apart from the sentence about it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from pushkeeper.errors import BadRequest, TooLarge, path_of, shown_path

NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
PATHS = st.builds(lambda first, more: (first, *more), NAMES, st.lists(NAMES | st.integers(0, 99), max_size=5))


@given(PATHS)
def test_a_path_is_read_from_what_is_shown_of_it(path: tuple[str | int, ...]) -> None:
    assert path_of(shown_path(path)) == path


@given(st.text(max_size=30))
@example(".")
@example("")
@example("a..b.")
def test_any_text_is_a_path_that_shows_as_that_text(text: str) -> None:
    if "[" not in text:
        assert shown_path(path_of(text)) == text


@given(PATHS, PATHS)
def test_an_error_of_an_inner_field_keeps_its_kind_code_and_problem_further_out(
    outer: tuple[str | int, ...], inner: tuple[str | int, ...]
) -> None:
    error = TooLarge(inner, "is too long", "out_of_range").under(outer)
    assert type(error) is TooLarge
    assert (error.path, error.code, error.problem) == ((*outer, *inner), "out_of_range", "is too long")
    assert error.message == f"{shown_path((*outer, *inner))}: is too long"


def test_a_sentence_is_shown_without_a_name_before_it() -> None:
    error = BadRequest("name", "unable to delete snippet in use", is_sentence=True)
    assert error.under("batch[3]").message == "unable to delete snippet in use"
    assert error.under("batch[3]").field == "batch[3].name"


def test_an_error_is_of_its_caller_s_name_for_a_field() -> None:
    error = BadRequest("filter.and[1].attribute", "expected an object")
    assert error.renamed("filter", "recipients").field == "recipients.and[1].attribute"
    assert error.renamed("audience", "recipients").field == "filter.and[1].attribute"


def test_without_a_code_of_its_own_a_refusal_has_one_that_is_stable() -> None:
    assert (BadRequest("a", "…").code, TooLarge("a", "…").code) == ("malformed", "too_large")
    assert (type(BadRequest("a", "…")).code, type(TooLarge("a", "…")).code) == ("bad_request", "too_large")
