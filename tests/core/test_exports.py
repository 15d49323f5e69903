"""Rows of exports as files: they are read back as they were, and columns are chosen by their names."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core import csv_text
from pushkeeper.core.exports import columns
from pushkeeper.core.exports.columns import BadColumns, CellKind, Column, Exportable
from pushkeeper.core.exports.writers import ExportFormat, writer

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a guard, a quotation mark or a line's end may be overlooked in, thicker than in a text by chance.
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([*"=+-@;\t\r\n\"'|, \x0b\xa0\u200b\ufeff\u2212“", "\r\n"]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3),
    ),
    max_size=6,
).map("".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(
    st.tuples(st.none() | TEXTS, st.none() | TEXTS.filter(bool), JSON.map(json.dumps)), max_size=5
)
KINDS = (Column("a", CellKind.TEXT), Column("b", CellKind.TEXT), Column("c", CellKind.JSON))


def read(file: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.decode(), newline="")))


@given(TEXTS)
def test_what_the_guard_changed_is_changed_back(text: str) -> None:
    assert csv_text.unguarded(csv_text.guarded(text)) == text


@given(ROWS)
def test_rows_of_texts_are_written_as_any_rows_are(rows: Sequence[Sequence[str | None]]) -> None:
    assert read(csv_text.texts(rows, (0, 1, 2))) == read(csv_text.lines(rows))
    assert read(csv_text.texts(rows, (0, 1, 2), guard=False)) == [
        [cell or "" for cell in row] for row in rows
    ]


@given(ROWS)
def test_a_file_of_csv_is_read_back_as_it_was(rows: Sequence[Sequence[str | None]]) -> None:
    to = writer(ExportFormat.CSV, KINDS)
    names, *lines = read(to.head + to.lines(rows))
    assert names == ["a", "b", "c"]
    found = [[csv_text.unguarded(cell) for cell in line] for line in lines]
    assert found == [[cell or "" for cell in row] for row in rows]


@given(ROWS)
def test_a_file_of_json_lines_is_read_back_as_it_was(rows: Sequence[Sequence[str | None]]) -> None:
    to = writer(ExportFormat.JSONL, KINDS)
    found = [json.loads(line) for line in (to.head + to.lines(rows)).split(b"\n")[:-1]]
    assert found == [{"a": a, "b": b, "c": json.loads(c or "")} for a, b, c in rows]


@given(JSON)
def test_the_cell_of_an_attribute_is_what_it_is_anywhere_else(value: object) -> None:
    to = writer(ExportFormat.CSV, (Column("attribute.a", CellKind.VALUE), Column("b")))
    written = json.dumps(value)
    [[cell, _]] = read(to.lines([(written, "x")]))
    expected = written if isinstance(value, list | dict) else csv_text.cell(value)
    assert cell == (csv_text.guarded(expected) if isinstance(value, list | dict) else expected)


def test_columns_are_chosen_by_name_in_their_order_and_each_once() -> None:
    chosen = columns.chosen(Exportable.DEVICES, ["platform", "attribute.plan", "token", "platform"])
    assert [column.name for column in chosen] == ["platform", "attribute.plan", "token"]
    usual = [column.name for column in columns.chosen(Exportable.DEVICES, None)]
    assert "strikes" not in usual
    assert columns.chosen(Exportable.DEVICES, ["strikes"])[0].kind is CellKind.NUMBER


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Exportable.DEVICES, []),
        (Exportable.DEVICES, ["tokens"]),
        (Exportable.DEVICES, ["attribute."]),
        (Exportable.PEOPLE, ["person_attribute.plan"]),
        (Exportable.PUSHES, ["attribute.plan"]),
        (Exportable.PEOPLE, [f"attribute.{n}" for n in range(301)]),
    ],
)
def test_a_column_that_there_is_not_is_named(kind: Exportable, names: list[str]) -> None:
    with pytest.raises(BadColumns, match=names[0] if len(names) == 1 else "1 to 300"):
        columns.chosen(kind, names)
