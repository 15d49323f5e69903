"""Records of an export's file: CSV, JSON lines, JSON arrays or a plain list, compressed by gzip or not. Pure.

Whatever is wrong with one record costs that record alone, by its line; memory does not grow with the file.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import msgspec

from pushkeeper.core.imports.row import Skip, SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.core.imports.row import Record

MAX_RECORD_BYTES = 1_000_000
MAX_FILE_BYTES = 50_000_000_000  # once it is decompressed
_BLOCK_CHARACTERS = 256 * 1024
_GZIP = b"\x1f\x8b"
_DELIMITERS = ",;\t|"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What AWS's command line, Parse's REST API and Customer.io's App API put around their records.
_WRAPPER = re.compile(r'\s*\{\s*"(?:Endpoints|results|customers)"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
_NO_TEXT = re.compile("[\udc80-\udcff]")  # bytes that are no UTF-8, as Python escapes them
_decode = json.JSONDecoder().raw_decode

csv.field_size_limit(MAX_RECORD_BYTES)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record, or why it is invalid, and the line on which it begins."""

    line: int
    record: Record | Skip


class CsvRecord(dict[str, Any]):
    """A record of CSV, whose values are texts."""


class BadFile(Exception):
    """A file that can't be read on, from this line.

    Attributes:
        line: from 1; 0 when no line is to blame.
        problem: what is wrong, to follow the file's name.
    """

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(problem, line)
        self.problem = problem
        self.line = line


_Lines: TypeAlias = "Iterator[tuple[int, str | Skip]]"


def records(file: BinaryIO) -> Iterator[Numbered]:
    """The records of a file from its beginning; a plain list's are objects with the line as `token`.

    `BadFile` where what comes from here on can't be read.
    """
    try:
        text = _text(file)
        start = _start(text)
        if not start.strip():
            raise BadFile("is empty")
        text.seek(0)
        if start.lstrip().startswith("[") or _WRAPPER.match(start):
            yield from _json_values(text)
        elif start.lstrip().startswith("{"):
            yield from _json_lines(text) if _is_json(start.lstrip().split("\n", 1)[0]) else _json_values(text)
        else:
            yield from _csv(text, start.lstrip().split("\n", 1)[0].rstrip("\r"))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadFile(f"is compressed, and its compression is damaged: {error}") from None


class _Bounded(io.RawIOBase):
    """What a file decompresses to, up to the most that an import may be."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._left = MAX_FILE_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._left = MAX_FILE_BYTES
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as io.RawIOBase has it
        block = self._file.read(len(buffer))
        self._left -= len(block)
        if self._left < 0:
            raise BadFile(f"is over {MAX_FILE_BYTES:,} bytes")
        buffer[: len(block)] = block
        return len(block)


def _text(file: BinaryIO) -> io.TextIOWrapper:
    file.seek(0)
    magic = file.read(len(_GZIP))
    file.seek(0)
    opened = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if magic == _GZIP else file
    begin = opened.read(3)
    opened.seek(0)
    encoding = next((name for bom, name in _BOMS if begin.startswith(bom)), "utf-8")
    # Bytes that are no text stay in their record, which is skipped for them; lines end as the file ends them.
    return io.TextIOWrapper(
        io.BufferedReader(_Bounded(opened)), encoding=encoding, errors="surrogateescape", newline=""
    )


def _start(text: io.TextIOWrapper) -> str:
    """The first block, without the mark of the byte order."""
    return text.read(_BLOCK_CHARACTERS).removeprefix("\ufeff")


def _is_json(line: str) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
    return True


def _lines(text: io.TextIOWrapper) -> _Lines:
    """Lines with their numbers and ends; one that is too long is skipped to its end."""
    number = 0
    while line := text.readline(MAX_RECORD_BYTES):
        number += 1
        if number == 1:
            line = line.removeprefix("\ufeff")
        if len(line) < MAX_RECORD_BYTES or line.endswith("\n"):
            yield number, line
            continue
        while (rest := text.readline(MAX_RECORD_BYTES)) and not rest.endswith("\n"):
            pass
        yield number, Skip(SkipReason.MALFORMED, "", f"is over {MAX_RECORD_BYTES:,} characters")


def _whole(record: object) -> Record | Skip:
    """A record that is an object; JSON text and Python's own escape for bytes that are no UTF-8 have no place in one."""
    if not isinstance(record, dict):
        return Skip(SkipReason.MALFORMED, "", "is not an object")
    return record


def _json_lines(text: io.TextIOWrapper) -> Iterator[Numbered]:
    for number, line in _lines(text):
        if isinstance(line, Skip):
            yield Numbered(number, line)
        elif line.strip():
            try:
                yield Numbered(number, _whole(msgspec.json.decode(line)))
            except UnicodeEncodeError:
                yield Numbered(number, Skip(SkipReason.MALFORMED, "", "is not UTF-8"))
            except (msgspec.DecodeError, RecursionError) as error:
                yield Numbered(number, Skip(SkipReason.MALFORMED, "", f"is not JSON: {error}"))


def _json_values(text: io.TextIOWrapper) -> Iterator[Numbered]:
    """The elements of an array, or of the array in one of the known wrappers, or values one after the other."""
    buffer = _Buffer(text)
    buffer.fill()
    buffer.skip_opening()
    while not buffer.at_end():
        if buffer.skip_closing():
            continue
        line = buffer.line
        record = _whole(buffer.value())
        yield Numbered(line, record)


class _Buffer:
    """The part of a JSON text that is being read."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._file = text
        self._text = ""
        self._at = 0
        self._ended = False
        self.line = 1

    def fill(self) -> None:
        """Read on."""
        block = self._file.read(_BLOCK_CHARACTERS)
        self._ended = not block
        self._text = self._text[self._at :] + block
        self._at = 0

    def skip_opening(self) -> None:
        """Skip past the bracket that opens the records."""
        self._text = self._text.removeprefix("\ufeff")
        found = _WRAPPER.match(self._text) or re.match(r"\s*\[", self._text)
        if found:
            self._go_to(found.end())

    def skip_closing(self) -> bool:
        """At the end of an array: skip past its closing bracket, and the opening one of the next."""
        if self._text[self._at] not in "]}":
            return False
        self.fill()
        found = re.compile(r"[\]}\s]+").match(self._text)
        self._go_to(found.end() if found else 1)
        if opened := _WRAPPER.match(self._text, self._at):
            self._go_to(opened.end())
        elif self._text[self._at :].lstrip(", \r\n\t").startswith('"'):
            # The rest of the wrapper, such as the token for the next page, holds no records.
            self._go_to(len(self._text))
            while not self._ended:
                self.fill()
                self._go_to(len(self._text))
        return True

    def at_end(self) -> bool:
        """Whether nothing comes after the blanks and commas from here."""
        while True:
            found = _BETWEEN.match(self._text, self._at)
            self._go_to(found.end() if found else self._at)
            if self._at < len(self._text):
                return False
            if self._ended:
                return True
            self.fill()

    def value(self) -> object:
        """The next value."""
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except RecursionError:
                raise BadFile("is nested too deeply", self.line) from None
            except json.JSONDecodeError as error:
                if self._ended or len(self._text) - self._at > MAX_RECORD_BYTES:
                    raise BadFile(f"is not JSON: {error.msg}", self.line) from None
                self.fill()
            else:
                self._go_to(end)
                return value

    def _go_to(self, end: int) -> None:
        self.line += self._text.count("\n", self._at, end)
        self._at = end


def _csv(text: io.TextIOWrapper, head: str) -> Iterator[Numbered]:
    delimiter = max(_DELIMITERS, key=head.count)
    if head.count(delimiter) == 0 and len(head.split()) == 1 and _looks_like_a_token(head):
        yield from _list(text)
        return
    lines = _Feed(text)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    names: list[str] | None = None
    while True:
        record: Record | Skip | None = None
        try:
            row = next(rows, None)
            if row is None:
                yield from lines.taken()
                return
            if names is None:
                names = _names(row)
            elif row:
                record = _named(names, row)
        except csv.Error as error:
            record = Skip(SkipReason.MALFORMED, "", f"is not CSV: {error}")
        begin = lines.begin
        yield from lines.taken()
        if record is not None:
            yield Numbered(begin, record)


class _Feed:
    """Lines for `csv.reader`, with the number of the first that it took for a record, and those that it did not get."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._lines = _lines(text)
        self._skipped: list[Numbered] = []
        self.begin = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            if isinstance(line, Skip):
                self._skipped.append(Numbered(number, line))
                continue
            self.begin = self.begin or number
            return line
        raise StopIteration

    def taken(self) -> list[Numbered]:
        """A record ends: the lines before its end that were too long."""
        skipped, self._skipped, self.begin = self._skipped, [], 0
        return skipped


def _names(row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadFile(f"has two columns {twice[0]!r}", 1)
    return names


def _named(names: list[str], row: list[str]) -> Record | Skip:
    if len(row) > len(names):
        return Skip(SkipReason.MALFORMED, "", f"has {len(row)} cells, and the header {len(names)}")
    if not (whole := "".join(row)).isascii() and _NO_TEXT.search(whole):
        return Skip(SkipReason.MALFORMED, "", "is not UTF-8")
    return CsvRecord(zip(names, row, strict=False))


_LONGEST_NAME = 60


def _looks_like_a_token(head: str) -> bool:
    return len(head.strip()) > _LONGEST_NAME or re.fullmatch(r"[A-Za-z0-9_-]{22}", head.strip()) is not None


def _list(text: io.TextIOWrapper) -> Iterator[Numbered]:
    for number, line in _lines(text):
        if isinstance(line, Skip):
            yield Numbered(number, line)
        elif line.strip():
            yield Numbered(number, {"token": line.strip()})
