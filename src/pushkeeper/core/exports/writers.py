"""Rows of exports as CSV or as JSON lines, many at once. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from pushkeeper.core import csv_text
from pushkeeper.core.exports.columns import CellKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.exports.columns import Column

    Rows = Sequence[Sequence[str | None]]


class ExportFormat(StrEnum):
    """How an export is written."""

    CSV = "csv"
    JSONL = "jsonl"
    ONESIGNAL = "onesignal"  # CSV with the columns that OneSignal's own export has

    @property
    def suffix(self) -> str:
        """What the name of such a file ends with."""
        return "jsonl" if self is ExportFormat.JSONL else "csv"


class Writer(Protocol):
    """Writes rows, whose values are text, in UTF-8."""

    @property
    def head(self) -> bytes:
        """What the file begins with."""

    def lines(self, rows: Rows) -> bytes:
        """The lines of some rows."""


def writer(form: ExportFormat, columns: Sequence[Column]) -> Writer:
    """The writer of a format."""
    if form is ExportFormat.JSONL:
        return _JsonLines(columns)
    return _Csv(columns, guarded=form is ExportFormat.CSV)


class _Csv:
    """CSV as `core.csv_text` writes it; only what other programs than spreadsheets read has no guard against formulas."""

    def __init__(self, columns: Sequence[Column], *, guarded: bool) -> None:
        self._names = [column.name for column in columns]
        self._guarded = guarded
        self._texts = [n for n, column in enumerate(columns) if column.kind in _OF_OTHERS]
        self._values = [n for n, column in enumerate(columns) if column.kind is CellKind.VALUE]

    @property
    def head(self) -> bytes:
        return csv_text.texts([self._names], range(len(self._names)), guard=self._guarded)

    def lines(self, rows: Rows) -> bytes:
        if self._values:
            rows = [self._with_values(row) for row in rows]
        return csv_text.texts(rows, self._texts, guard=self._guarded)

    def _with_values(self, row: Sequence[str | None]) -> list[str | None]:
        """The row with its attributes as cells: numbers are not guarded, as they are no text."""
        cells = list(row)
        for n in self._values:
            if (value := cells[n]) is not None:
                cells[n] = csv_text.value(value)
        return cells


_OF_OTHERS = frozenset({CellKind.TEXT, CellKind.JSON})


class _JsonLines:
    """An object a line, whose names are the columns'."""

    head = b""
    _RAW = frozenset({CellKind.NUMBER, CellKind.FLAG, CellKind.JSON, CellKind.VALUE})

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._raw = [n for n, column in enumerate(columns) if column.kind in self._RAW]

    def lines(self, rows: Rows) -> bytes:
        names, raw = self._names, self._raw
        objects = []
        for row in rows:
            one: dict[str, str | msgspec.Raw | None] = dict(zip(names, row, strict=True))
            for place in raw:
                if (value := row[place]) is not None:
                    one[names[place]] = msgspec.Raw(value)
            objects.append(one)
        return _encode(objects)


_encode = msgspec.json.Encoder().encode_lines
