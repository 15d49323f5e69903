"""The one CSV writer: times in UTC, values in JSON, and no cell that a spreadsheet evaluates as a formula."""

from __future__ import annotations

import csv
import io
import math
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

# What begins a formula: = + - @, and every character that compatibility normalization (NFKC) turns into one of them or
# into a minus sign.
_FORMULA = "=+\\-@⁺⁻⁼₊₋₌⩵⩶﬩﹢﹣﹦﹫＋－＝＠\u2212"  # noqa: RUF001 - look-alikes on purpose
# What a spreadsheet may drop from the beginning of a cell: white space, quotes, control and invisible characters.
_DROPPED = (
    "\\s\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\\x00-\\x1f\\x7f-\\x9f"
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
)
# Where a cell may begin: at the text's start, and, for a spreadsheet that does not separate by commas, after what it
# separates by. Runs are read possessively and whole, so that a text of line breaks takes linear time.
_BEGINNING = re.compile(f"(?:^|[;\t\r\n])[;{_DROPPED}]*+(?P<formula>(?=[{_FORMULA}]))?")
# Most cells: nothing in them could begin a formula, and to see so takes a tenth of the time.
_PLAIN = re.compile("[0-9A-Za-z{\\[(/_#][^;\t\r\n]*+")
# The same of cells that need no quotation marks either.
_BARE = re.compile('[0-9A-Za-z{\\[(/_#][^;\t\r\n",]*+').fullmatch
_NEEDS_QUOTES = re.compile('[",\r\n]').search
# The same with what the guard put before it, and the text that it put one before as a whole.
_GUARDED = re.compile(f"((?:^|[;\t\r\n])[;{_DROPPED}]*+)(?=[{_FORMULA}])")
_GUARDED_BREAK = re.compile("^'(?='*+[\t\r\n])")
# Some programs drop these from a cell's beginning before they look for a formula.
_TAB_OR_BREAK = re.compile("'*+[\t\r\n]")


def text(rows: Iterable[Sequence[object]]) -> str:
    """Lines of a file, one for each row."""
    written = io.StringIO()
    csv.writer(written).writerows([[cell(value) for value in row] for row in rows])
    return written.getvalue()


def lines(rows: Iterable[Sequence[object]]) -> bytes:
    """The same in UTF-8; a lone surrogate becomes a question mark."""
    return text(rows).encode("utf-8", "replace")


def texts(rows: Iterable[Sequence[str | None]], places: Sequence[int], *, guard: bool = True) -> bytes:
    """Lines of rows that are text already, as `lines` writes them in a third of the time.

    `places` are the columns of somebody else's texts; the others are words, numbers and times of ours. Without `guard`, texts
    are written as they are: for programs that do not undo it.
    """
    write = _guarded_cell if guard else _quoted
    written: list[str] = []
    for row in rows:
        cells = ["" if cell is None else cell for cell in row]
        for place in places:
            if (cell := cells[place]) and not _BARE(cell):
                cells[place] = write(cell)
        written.append(",".join(cells) or '""')
    return "".join([f"{line}\r\n" for line in written]).encode()


def value(json: str) -> str:
    """The cell of a JSON value: text is guarded against formulas, and a number stays a number."""
    found = msgspec.json.decode(json)
    if found is None:
        return ""
    if isinstance(found, str | list | dict):
        return _guarded_cell(found if isinstance(found, str) else json)
    return json


def _guarded_cell(text: str) -> str:
    return _quoted(guarded(text))


def _quoted(text: str) -> str:
    """A cell, in quotation marks where it would not be one without."""
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if _NEEDS_QUOTES(text) else text


def of_structs(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> bytes:
    """A file of rows of one kind, whose fields are its columns."""
    fields = [field.name for field in msgspec.structs.fields(kind)]
    return lines([fields, *([getattr(row, field) for field in fields] for row in rows)])


def cell(value: object) -> str:
    """The cell for a value; numbers stay numbers, and text is guarded (see `guarded`)."""
    match value:
        case str():
            written = guarded(value)
        case None:
            written = ""
        case bool():
            written = "true" if value else "false"
        case int():
            written = str(value)
        case float() if math.isfinite(value):
            written = str(value)
        case datetime():
            written = value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case date():
            written = value.isoformat()
        case _:
            written = guarded(msgspec.json.encode(value).decode())
    return written


def guarded(text: str) -> str:
    """The text with an apostrophe before each character at which a spreadsheet could begin to evaluate a formula.

    It can be undone without loss: docs/how-to/csv.md shows how.
    """
    if not text or _PLAIN.fullmatch(text):
        return text
    text = _BEGINNING.sub(_with_apostrophe, text)
    return f"'{text}" if _TAB_OR_BREAK.match(text) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    if not text or "'" not in text:
        return text
    text = _GUARDED_BREAK.sub("", text)
    return _GUARDED.sub(_without_apostrophe, text)


def _without_apostrophe(beginning: re.Match[str]) -> str:
    return beginning[1].removesuffix("'")


def _with_apostrophe(beginning: re.Match[str]) -> str:
    return beginning[0] if beginning["formula"] is None else f"{beginning[0]}'"


def without(text: str, column: int, values: Container[str]) -> tuple[str, list[str]]:
    """Remove the rows that have one of these values in a column; returns the remaining lines and the removed values.

    Remaining lines are byte for byte unchanged.
    """
    kept: list[str] = []
    gone: list[str] = []
    for record in _records(text):
        cells = next(csv.reader(io.StringIO(record, newline="")), [])
        if len(cells) > column and cells[column] in values:
            gone.append(cells[column])
        else:
            kept.append(record)
    return "".join(kept), gone


def _records(text: str) -> Iterator[str]:
    """The records as they are written; a record ends with the line that closes its quotation marks."""
    start = end = quotes = 0
    while end < len(text):
        line_at, end = end, text.find("\n", end) + 1 or len(text)
        quotes += text.count('"', line_at, end)
        if quotes % 2 == 0 or end == len(text):
            yield text[start:end]
            start = end
