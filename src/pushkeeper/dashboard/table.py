"""Tables as CSV: the same rows as on the page, all of them, written while they are read."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from pushkeeper.dashboard.answer import CSV, Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

T = TypeVar("T")

PAGE = 50
CSV_PAGE = 1_000
# What spreadsheets take for a formula, and run.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column: its heading in a file, and what a row has in it."""

    name: str
    cell: Callable[[T], object]


def csv_of(name: str, columns: Sequence[Column[T]], rows: Iterable[T]) -> Answer:
    """A file of rows that are there already."""

    async def only(after: T | None) -> Sequence[T]:
        return list(rows) if after is None else []

    return csv_by_page(name, columns, only)


def csv_by_page(
    name: str, columns: Sequence[Column[T]], read: Callable[[T | None], Awaitable[Sequence[T]]]
) -> Answer:
    """A file of all rows, read page by page: `read` gives those after a row, and none after the last."""

    async def parts() -> AsyncIterator[bytes]:
        yield _lines([[column.name for column in columns]])
        last: T | None = None
        while found := await read(last):
            yield _lines([[text_of(column.cell(row)) for column in columns] for row in found])
            last = found[-1]

    disposition = f'attachment; filename="{name}.csv"'.encode()
    return Answer(parts=parts(), content_type=CSV, headers=((b"content-disposition", disposition),))


def text_of(value: object) -> str:
    """A cell: times in UTC, values in JSON, and nothing that a spreadsheet would run."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case str():
            text = value
        case _:
            text = msgspec.json.encode(value).decode()
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")
