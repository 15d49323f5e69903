"""The CSV writer: no cell of somebody else's is evaluated, numbers stay numbers, and a program can undo the guard."""

# ruff: noqa: RUF001 - look-alikes on purpose

from __future__ import annotations

import csv
import io
import math
import re
import time
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushkeeper.core import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOC = Path(__file__).parents[2] / "docs" / "how-to" / "csv.md"
FORMULAS = "=+-@"
# Everything that a guard may overlook, thicker than in a text by chance.
PIECES = st.one_of(
    st.sampled_from([*"=+-@;\t\r\n\"'|, \0\x0b\xa0\u200b\u2028\ufeff\u202e\u2212“＝＋－＠﹦﹢⁺", "\r\n"]),
    st.sampled_from(["cmd|' /C calc'!A0", 'HYPERLINK("http://x")', "1"]),
    st.text(max_size=3),
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


def is_evaluated(cell: str) -> bool:
    """Whether a spreadsheet could take this for a formula: by what it begins with once what may be dropped is."""
    kept = cell.lstrip('"“”„«»‘’`')
    while kept and (
        kept[0].isspace() or unicodedata.category(kept[0]) in {"Cc", "Cf", "Zs"} or kept[0] in '"“”„«»‘’`'
    ):
        kept = kept[1:]
    first = unicodedata.normalize("NFKC", kept[:1])[:1]
    return first != "" and first in f"{FORMULAS}\u2212"


def cells(file: str) -> Iterator[str]:
    """The cells of a file as different programs split it: by commas, and not by commas and without a view to quotation marks."""
    for row in csv.reader(io.StringIO(file, newline="")):
        yield from row
    for separator in (";", "\t"):
        for line in re.split(r"[\r\n]+", file):
            yield from line.split(separator)


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=3), max_size=3))
@example([["x;=cmd|' /C calc'!A0"]])
@example([["a", 'x\n"=1+1"']])
@example([["\ufeff\u200b ＝1"]])
@example([['"=1'], ["'=1"], ["''\t@"]])
def test_no_text_is_evaluated_however_the_file_is_split(rows: list[list[str]]) -> None:
    file = csv_text.lines(rows).decode()
    assert [cell for cell in cells(file) if is_evaluated(cell)] == []
    read = list(csv.reader(io.StringIO(file, newline="")))
    assert not any(cell.startswith(("\t", "\r", "\n")) for row in read for cell in row)


@given(
    st.dictionaries(TEXTS, TEXTS | st.integers() | st.lists(TEXTS, max_size=2), max_size=3) | st.lists(TEXTS)
)
def test_no_json_is_evaluated(value: object) -> None:
    assert [cell for cell in cells(csv_text.text([["a", value]])) if is_evaluated(cell)] == []


@given(TEXTS)
def test_the_function_in_the_documentation_gives_the_text_back(text: str) -> None:
    assert plain()(csv_text.cell(text)) == text


def plain() -> Callable[[str], str]:
    """What the documentation says to run."""
    [source] = re.findall(r"^```python\n(.*?)^```", DOC.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Callable[[str], str]] = {}
    exec(source, names)
    return names["plain"]


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_stays_that_number(number: float) -> None:
    written = csv_text.cell(number)
    assert type(number)(written) == number
    assert plain()(written) == written


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_in_a_spreadsheet_is_none(number: float) -> None:
    assert csv_text.cell(number) == "null"


def test_every_look_alike_of_a_formulas_beginning_is_guarded() -> None:
    found = [
        chr(code)
        for code in range(0x110000)
        if unicodedata.normalize("NFKC", chr(code))[:1] in {*FORMULAS, "\u2212"}
    ]
    assert len(found) > 15
    assert [one for one in found if csv_text.cell(f"{one}1") != f"'{one}1"] == []


@given(st.text(max_size=50))
def test_a_text_in_which_nothing_begins_a_formula_is_not_changed(text: str) -> None:
    if not re.search(r"[-=+@;\t\r\n]", unicodedata.normalize("NFKC", text)) and "\u2212" not in text:
        assert csv_text.cell(text) == text


@pytest.mark.parametrize("piece", ["\n", ";", "\t '", ';"=x', "\n-", "'", "\r\n\u200b", "; ", "=", "a;"])
def test_guarding_takes_linear_time(piece: str) -> None:
    def took(length: int) -> float:
        text = piece * (length // len(piece))
        times = []
        for _ in range(5):
            started = time.process_time()
            csv_text.cell(text)
            times.append(time.process_time() - started)
        return min(times)

    # Quadratic, four times the length would take sixteen times as long.
    assert took(400_000) < 8 * took(100_000)
