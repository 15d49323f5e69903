"""Reading JSON bodies: the cost is bounded by the length, and values that no database can store are repaired or refused.

NUL characters are removed, half a surrogate pair is U+FFFD, a byte order mark is passed over. What is out of any bounds (a
number, a depth) leaves a mark in its place, which is found when the part that holds it is checked: so in a batch it costs its
own item alone.

Large bodies are read in a thread, one at a time: each further thread would take as large a share of Python's lock as
the event loop. The decoder holds the lock for as long as it works, so that it is the bound on how many values a body
may have which keeps the event loop alive; inflating and our own checks give the lock away, and bytes are scanned in
parts.
"""

from __future__ import annotations

import asyncio
import gzip
import math
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pushkeeper.errors import BadRequest, TooLarge, shown_path
from pushkeeper.web.large_bodies import LARGE_BYTES, LargeBodies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushkeeper.errors import Path

    Check = Callable[[object], None]  # raises BadRequest
    Place = list[str | int]  # keys and indexes, the innermost first

T = TypeVar("T")

_READER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bodies")
LARGE = LargeBodies()

MAX_DEPTH = 100  # far below where Python's own stack ends, reading or writing it
MAX_DIGITS = 100  # of a whole number: one that no float can be made of has 309
MAX_VALUES = 500_000
# Lists and objects take the decoder longer than anything else: so many some five milliseconds. Ten thousand people with
# with separate data each, for which a body may be that long, have one for each hundred bytes.
MAX_LISTS = 50_000
_BYTES_OF_A_LIST = 100
_BYTES_OF_AN_ITEM = 500  # of a batch; a hundred of them are small
_SCANNED_AT_ONCE = 256 * 1024  # bytes; nobody else does anything meanwhile
_MAX_SHOWN = 40  # characters of a key in an error's text
_MAX_PLACE = 200
_PLACED_DEPTH = 2  # for the path of a value nested too deeply: each level scans everything below it
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_READ_ENCODINGS = frozenset({b"", b"identity", b"gzip", b"x-gzip", b"deflate"})
_INLINE_BYTES = LARGE_BYTES // 8  # compressed; most bodies inflate to about eight times this
_LARGEST = 10**MAX_DIGITS
_OUT_OF_RANGE = str(_LARGEST).encode()  # replaces a number that is out of range; the digit check finds it
_CUT_DEPTH = MAX_DEPTH + 10  # where a whole body is cut off; the depth check finds the rest
# Of a body, an item or a device. Elsewhere such a name is the caller's own, and its value is refused.
_TIMES = frozenset({"timestamp", "_timestamp", "originalTimestamp", "sentAt", "last_used"})
_DIGITS_ALIKE = bytes(ord("0") if 0x30 <= byte <= 0x39 else byte for byte in range(256))  # noqa: PLR2004 - 0 to 9
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|(?P<nul>u0000)|.)",
    re.DOTALL,
)
# The closing quote may be missing: then the text takes the rest, and nothing is scanned twice.
_TOKEN = re.compile(rb"""\"(?:[^"\\]++|\\.)*+"?|[\[\]{}]|-?[0-9][0-9.eE+-]*+""", re.DOTALL)
_QUOTE = ord('"')
_TOO_MANY_DIGITS = b"0" * (MAX_DIGITS + 1)


async def by_size(size: int, read: Callable[[], T], *, of: int | None = None) -> T:
    """Read what is large in a thread, and what is small here: changing to a thread takes longer than most bodies.

    `of` is the workspace whose turn it has to be.

    Raises:
        TooManyRequests: too much that is large waits for the turn of this workspace.
    """
    if size <= LARGE_BYTES:
        return read()
    return await _in_thread(read) if of is None else await LARGE.read(of, size, read, _in_thread)


def size_of_batch(size: int, items: int) -> int:
    """What `by_size` takes a batch of this length to be: reading an item costs as much as a text of some length."""
    return max(size, items * _BYTES_OF_AN_ITEM)


async def _in_thread(read: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_READER, read)


def decode(raw: bytes) -> Any:  # noqa: ANN401 - JSON of any shape
    """The JSON of a body; an empty body is an empty object.

    Raises:
        BadRequest: it is not JSON, is nested too deeply, has too many values, or holds what a database cannot.
    """
    value, checks = parse(raw)
    for check in checks:
        check(value)
    return value


def decode_object(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty body is an empty one.

    Raises:
        BadRequest: as of `decode`, or it is JSON of another type.
    """
    value = decode(raw)
    if not isinstance(value, dict):
        raise BadRequest("body", "expected an object", "wrong_type")
    return value


def parse(raw: bytes) -> tuple[Any, Sequence[Check]]:
    """The JSON of a body, and what it is still to be checked for: of a batch by item, so that each fails alone.

    Raises:
        BadRequest: it is not JSON.
        TooLarge: it has too many values.
    """
    raw = raw.removeprefix(_BOM)
    if not raw.strip():
        return {}, ()
    lists = _lists_in(raw)
    if _holds(raw, b"\\u0000"):
        raw = _ESCAPE.sub(_repaired_escape, raw)
    try:
        value, raw = _decoded(raw, Any)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("body", f"not JSON: {error}") from None
    return value, _checks_of(raw, lists)


def size_of_part(part: object, checks: Sequence[Check]) -> int:
    """The length of a part of a body as JSON, in bytes, after the checks that the body needs.

    Raises:
        BadRequest: it does not pass one.
    """
    try:
        raw = msgspec.json.encode(part)
    except RecursionError:
        _refuse_depth(part)
        raise
    for check in _checks_of(raw, _lists_in(raw)) if checks else ():
        check(part)
    return len(raw)


def _checks_of(raw: bytes, lists: int) -> list[Check]:
    """The checks that a JSON text with so many lists and objects needs, found by scanning it without parsing it."""
    checks: list[Check] = []
    if lists > MAX_DEPTH:
        checks.append(_refuse_depth)
    if len(raw) > MAX_DIGITS and _has_too_many_digits(raw):
        checks.append(_refuse_digits)
    return checks


def _lists_in(raw: bytes) -> int:
    """How many lists and objects there are, or more: a text may hold brackets.

    Raises:
        TooLarge: there are too many of them, or of values.
    """
    lists = values = 0
    most = max(MAX_LISTS, len(raw) // _BYTES_OF_A_LIST)
    for start in range(0, len(raw), _SCANNED_AT_ONCE):
        end = start + _SCANNED_AT_ONCE
        lists += raw.count(b"[", start, end) + raw.count(b"{", start, end)
        values += raw.count(b",", start, end)
        if lists > most:
            raise TooLarge("body", f"cannot hold more than {most:,} lists and objects")
        if lists + values > MAX_VALUES:
            raise TooLarge("body", f"cannot hold more than {MAX_VALUES:,} values")
    return lists


def _holds(raw: bytes, sign: bytes) -> bool:
    return any(
        raw.find(sign, start, start + _SCANNED_AT_ONCE + len(sign) - 1) >= 0
        for start in range(0, len(raw), _SCANNED_AT_ONCE)
    )


def _has_too_many_digits(raw: bytes) -> bool:
    return any(
        _TOO_MANY_DIGITS in raw[start : start + _SCANNED_AT_ONCE + MAX_DIGITS].translate(_DIGITS_ALIKE)
        for start in range(0, len(raw), _SCANNED_AT_ONCE)
    )


def loads(raw: bytes, kind: Any = Any) -> Any:  # noqa: ANN401 - JSON of any shape, or a Struct
    """Decode JSON, repairing what can be repaired.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is not JSON, or not of this kind.
    """
    return _decoded(raw.removeprefix(_BOM), kind)[0]


def _decoded(raw: bytes, kind: Any) -> tuple[Any, bytes]:  # noqa: ANN401 - as above
    """The decoded value and its JSON, which is repaired if the decoder rejects the original."""
    try:
        return msgspec.json.decode(raw, type=kind), raw
    except (msgspec.DecodeError, RecursionError):
        repaired = _repaired(raw)
        return msgspec.json.decode(repaired, type=kind), repaired


def _repaired(raw: bytes) -> bytes:
    """Repair JSON: replace half characters, numbers that no float can hold, and values nested too deeply to be read."""
    raw = _ESCAPE.sub(_repaired_escape, raw)
    kept: list[bytes] = []
    start = depth = 0
    for token in _TOKEN.finditer(raw):
        sign = raw[token.start()]
        if sign in b"[{":
            depth += 1
            if depth == _CUT_DEPTH:
                kept += [raw[start : token.start()], b"0"]
        elif sign in b"]}":
            if depth == _CUT_DEPTH:
                start = token.end()
            depth -= 1
        elif sign != _QUOTE and depth < _CUT_DEPTH and _is_out_of_range(token[0]):
            kept += [raw[start : token.start()], _OUT_OF_RANGE]
            start = token.end()
    if depth < _CUT_DEPTH:
        kept.append(raw[start:])
    return b"".join(kept)


def _repaired_escape(escape: re.Match[bytes]) -> bytes:
    if escape["half"]:
        return b"\\ufffd"
    return b"" if escape["nul"] else escape[0]


def _is_out_of_range(number: bytes) -> bool:
    try:
        return len(number) >= len("1e309") and math.isinf(float(number))
    except ValueError:  # not a number: the decoder has the better error
        return False


async def inflate(raw: bytes, *, encoding: bytes, most: int, field: str) -> bytes:
    """Decompress gzip (with any number of members) or zlib, whatever the headers say; return anything else unchanged.

    `encoding` is the header Content-Encoding, which is needed to detect deflate without a zlib header.

    Raises:
        BadRequest: it is malformed gzip, or in an unsupported encoding.
        TooLarge: it has more than `most` bytes; no more than that is ever inflated.
    """
    unpack = _unpacker(raw, encoding)
    if unpack is None:
        if encoding.strip().lower() not in _READ_ENCODINGS and not _may_be_json(raw):
            raise BadRequest("body", "unsupported Content-Encoding; expected gzip or deflate")
        found = raw
    elif len(raw) <= _INLINE_BYTES:
        found = unpack(raw, most + 1)
    else:
        found = await _in_thread(partial(unpack, raw, most + 1))
    if len(found) > most:
        raise TooLarge(field, f"cannot be longer than {most} bytes")
    return found


def _unpacker(raw: bytes, encoding: bytes) -> Callable[[bytes, int], bytes] | None:
    if raw.startswith(_GZIP):
        return _gunzip
    # RFC 1950: no JSON starts like this.
    if len(raw) > 1 and raw[0] & 0x0F == zlib.DEFLATED and int.from_bytes(raw[:2], "big") % 31 == 0:
        return _unzlib
    is_packed = encoding.strip().lower() == b"deflate" and not _may_be_json(raw)
    return _undeflate if is_packed else None


def _may_be_json(raw: bytes) -> bool:
    return raw.removeprefix(_BOM).lstrip()[:1] in {b"", b"{"}


def _gunzip(raw: bytes, most: int) -> bytes:
    try:
        return gzip.GzipFile(fileobj=BytesIO(raw)).read(most)
    except (OSError, EOFError, zlib.error):
        raise BadRequest("body", "malformed gzip") from None


def _unzlib(raw: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(raw, most)
    except zlib.error:
        return raw


def _undeflate(raw: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, most)
    except zlib.error:
        return raw


def _refuse_depth(value: object) -> None:
    if not _is_deep(value, MAX_DEPTH):
        return
    place: Place = []
    inner: Any = value
    for depth in range(1, _PLACED_DEPTH + 1):
        parts = inner.items() if isinstance(inner, dict) else enumerate(inner)
        key, inner = next(part for part in parts if _is_deep(part[1], MAX_DEPTH - depth))
        place.insert(0, key)
    raise BadRequest(_path(place), f"nested too deeply; the maximum is {MAX_DEPTH} levels")


def _is_deep(value: object, most: int) -> bool:
    """Whether lists and objects are nested more deeply than that."""
    level: list[Any] = [[value]]
    for _ in range(most + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _refuse_digits(value: object) -> None:
    _refuse_where(
        _without_times(value), _has_digits, f"out of range; a number can have at most {MAX_DIGITS} digits"
    )


def _without_times(value: object) -> object:
    """The parts of a body or an item whose digits are checked: a time out of range is replaced when it is read (core/times.py)."""
    if not isinstance(value, dict):
        return value
    return {
        name: _without_times(inner) if name == "device" else inner
        for name, inner in value.items()
        if name not in _TIMES or isinstance(inner, dict | list)
    }


def _has_digits(value: object) -> bool:
    return isinstance(value, int) and not -_LARGEST < value < _LARGEST


def _refuse_where(value: object, is_wrong: Callable[[object], bool], problem: str) -> None:
    """Refuse the first value or key that is wrong, by its place.

    The place is put into words for that one alone: to do so for each costs as much as all keys above it, which for long keys
    over long lists is the square of the body.
    """
    place = _place(value, is_wrong)
    if place is not None:
        raise BadRequest(_path(place), problem)


def _place(value: object, is_wrong: Callable[[object], bool]) -> Place | None:
    """Where the first wrong value or key is; it goes as deep as the value, of which `MAX_DEPTH` is the bound."""
    if not isinstance(value, dict | list):
        return [] if is_wrong(value) else None
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict) and is_wrong(key):
            return [key]
        found = _place(inner, is_wrong)
        if found is not None:
            return [*found, key]
    return None


def _path(place: Place) -> Path:
    """A place as errors have it, cut where it is long: `batch[3].properties.name`."""
    path = [
        part if isinstance(part, int) else part[:_MAX_SHOWN].replace("\0", "") for part in reversed(place)
    ]
    if not path or isinstance(path[0], int):
        path.insert(0, "body")
    while len(shown_path(tuple(path))) > _MAX_PLACE:
        path.pop()
    return tuple(path)
