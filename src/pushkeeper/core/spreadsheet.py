"""Tables as CSV: times in UTC, values in JSON, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What spreadsheets take for a formula, and run.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows of a file, whatever is in their cells."""
    text = io.StringIO()
    csv.writer(text).writerows([[cell(value) for value in row] for row in rows])
    return text.getvalue().encode("utf-8", "replace")


def of_structs(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> bytes:
    """A file of rows of one kind, whose fields are its columns."""
    fields = [field.name for field in msgspec.structs.fields(kind)]
    return lines([fields, *([getattr(row, field) for field in fields] for row in rows)])


def cell(value: object) -> str:
    """What stands for a value in a cell."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case str():
            text = value
        case _:
            text = msgspec.json.encode(value).decode()
    return f"'{text}" if text.startswith(_FORMULAS) else text
