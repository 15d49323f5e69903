"""The JSON of a body, read: what it costs is bounded by its length, and what no database can keep is refused.

Whatever is large is read in a thread. The decoder holds Python's lock for as long as it works, so that it is the bound on how
many values a body may have which keeps the event loop alive; inflating and our own checks give the lock away.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import msgspec

from pushkeeper.errors import BadRequest, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Check = Callable[[object], None]  # raises BadRequest
    Place = list[str | int]  # keys and indexes, the innermost first

T = TypeVar("T")
P = ParamSpec("P")

LARGE_BYTES = 64 * 1024
MAX_DEPTH = 100  # far below where Python's own stack ends, whoever reads or writes it
MAX_DIGITS = 100  # of a whole number: one that no float can be made of has 309
MAX_VALUES = 500_000  # a tenth of a second to decode, whatever they are
_COUNTED_AT_ONCE = 256 * 1024  # bytes
_MAX_SHOWN = 40  # characters of a key in an error's text
_MAX_PLACE = 200
_GZIP = b"\x1f\x8b"
_GZIP_HEADER = 31  # zlib's word for one
_LARGEST = 10**MAX_DIGITS
_DIGITS_ALIKE = bytes(ord("0") if 0x30 <= byte <= 0x39 else byte for byte in range(256))  # noqa: PLR2004 - 0 to 9
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_TOO_MANY_DIGITS = b"0" * (MAX_DIGITS + 1)


async def by_size(size: int, read: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Read what is large in a thread, and what is small here: changing to a thread takes longer than most bodies."""
    return read(*args, **named) if size <= LARGE_BYTES else await asyncio.to_thread(read, *args, **named)


def decode(raw: bytes) -> Any:  # noqa: ANN401 - JSON of any shape
    """The JSON of a body; an empty body is an empty object.

    Raises:
        BadRequest: it is not JSON, is nested too deeply, has too many values, or holds what a database cannot.
    """
    value, checks = parse(raw)
    for check in checks:
        check(value)
    return value


def parse(raw: bytes) -> tuple[Any, Sequence[Check]]:
    """The JSON of a body, and what it is still to be checked for: of a batch by item, so that each fails alone.

    Raises:
        BadRequest: it is not JSON.
        TooLarge: it has too many values.
    """
    if not raw.strip():
        return {}, ()
    if len(raw) > MAX_VALUES and _has_too_many_values(raw):
        raise TooLarge("body", f"body: cannot hold more than {MAX_VALUES:,} values")
    try:
        value = loads(raw)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("body", f"body: not JSON: {error}") from None
    checks: list[Check] = []
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        checks.append(_refuse_depth)
    if len(raw) > MAX_DIGITS and _TOO_MANY_DIGITS in raw.translate(_DIGITS_ALIKE):
        checks.append(_refuse_digits)
    if b"\\u0000" in raw:
        checks.append(_refuse_nul)
    return value, checks


def _has_too_many_values(raw: bytes) -> bool:
    """Looked at in parts, as nobody else does anything while one is counted, and the first ones may tell."""
    found = 0
    for start in range(0, len(raw), _COUNTED_AT_ONCE):
        found += sum(raw.count(sign, start, start + _COUNTED_AT_ONCE) for sign in (b",", b"[", b"{"))
        if found > MAX_VALUES:
            return True
    return False


def loads(raw: bytes, kind: Any = Any) -> Any:  # noqa: ANN401 - JSON of any shape, or a Struct
    """What JSON says; half a character, as JavaScript writes of an emoji that was cut, is U+FFFD.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is none, or none of this kind.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(_without_halves, raw)
        if mended == raw:
            raise
        return msgspec.json.decode(mended, type=kind)


def _without_halves(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape["half"] else escape[0]


async def inflate(raw: bytes, *, most: int, field: str) -> bytes:
    """What gzip holds, whatever the headers say; anything else as it is.

    Raises:
        BadRequest: it begins as gzip, and is none.
        TooLarge: it has more than `most` bytes, which are more than `LARGE_BYTES`; what is over that is never inflated.
    """
    found = raw
    if raw.startswith(_GZIP):
        stream = zlib.decompressobj(_GZIP_HEADER)
        try:
            found = stream.decompress(raw, LARGE_BYTES)
            if len(found) == LARGE_BYTES:
                rest = stream.unconsumed_tail
                found += await asyncio.to_thread(stream.decompress, rest, most + 1 - LARGE_BYTES)
        except zlib.error:
            raise BadRequest("body", "body: not gzip, though it begins so") from None
    if len(found) > most:
        raise TooLarge(field, f"{field}: cannot be longer than {most} bytes")
    return found


def _too_deep() -> BadRequest:
    return BadRequest("body", f"body: nested too deeply; {MAX_DEPTH} levels are the most")


def _refuse_depth(value: object) -> None:
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _refuse_digits(value: object) -> None:
    _refuse_where(value, _has_digits, f"cannot have more than {MAX_DIGITS} digits")


def _has_digits(value: object) -> bool:
    return isinstance(value, int) and not -_LARGEST < value < _LARGEST


def _refuse_nul(value: object) -> None:
    _refuse_where(value, _has_nul, "NUL characters cannot be kept")


def _has_nul(value: object) -> bool:
    return isinstance(value, str) and "\0" in value


def _refuse_where(value: object, is_wrong: Callable[[object], bool], problem: str) -> None:
    """Refuse the first value or key that is wrong, by its place.

    The place is put into words for that one alone: to do so for each costs as much as all keys above it, which for long keys
    over long lists is the square of the body.
    """
    place = _place(value, is_wrong)
    if place is not None:
        field = _words(place)
        raise BadRequest(field, f"{field}: {problem}")


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


def _words(place: Place) -> str:
    """A place as errors name it: `batch[3].properties.name`."""
    words = ""
    for part in reversed(place):
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            shown = part[:_MAX_SHOWN].replace("\0", "")
            words += f".{shown}" if words else shown
    return (words if words and not words.startswith("[") else f"body{words}")[:_MAX_PLACE]
