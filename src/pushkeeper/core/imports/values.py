"""Values of exports: texts, numbers, times and flags, however a vendor writes them. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core import times
from pushkeeper.core.imports.row import Skip, SkipReason

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.imports.row import Record

_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
_TRUE = frozenset({"t", "true", "1", "yes", "y"})
_FALSE = frozenset({"f", "false", "0", "no", "n", ""})
# `2026-01-05 18:33:02`, with a fraction, `UTC`, `Z`, `+0000` or `+00:00`, as Ruby, Go, Django and JavaScript print times.
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)(\.\d{1,9})?\s*(Z|UTC|[+-]\d\d:?\d\d)?(?:\s+UTC)?"
)


def text(record: Record, field: str) -> str | None:
    """A field's text without surrounding blanks; None if empty. A whole number is its text.

    `Skip` if it is something else.
    """
    value = record.get(field)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise Skip(SkipReason.MALFORMED, field, "is not text")
    if _NOT_STORABLE.search(value):
        raise Skip(SkipReason.MALFORMED, field, "has characters that no text may have")
    return value.strip() or None


def flag(record: Record, field: str) -> bool | None:
    """A boolean field, by any of the usual words; None if empty.

    `Skip` if it is neither.
    """
    value = record.get(field)
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return None if word == "" else False
    raise Skip(SkipReason.MALFORMED, field, "is neither true nor false")


def json_object(record: Record, field: str) -> dict[str, Any]:
    """An object, or the JSON text of one; an empty one if missing.

    `Skip` if it is neither.
    """
    value = record.get(field)
    if isinstance(value, str):
        if not value.strip():
            return {}
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            raise Skip(SkipReason.MALFORMED, field, "is not JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Skip(SkipReason.MALFORMED, field, "is not an object")
    return value


def time(record: Record, field: str) -> datetime | None:
    """A time: text, seconds or milliseconds since 1970, or wrapped as by Parse and MongoDB; None if empty.

    `Skip` if it is not a time.
    """
    value = record.get(field)
    while isinstance(value, dict):
        [value] = [value[key] for key in ("$date", "iso", "$numberLong") if key in value][:1] or [None]
        if value is None:
            raise Skip(SkipReason.MALFORMED, field, "is not a time")
    if value is None or value == "":
        return None
    if (found := _time(value)) is None:
        raise Skip(SkipReason.MALFORMED, field, "is not a time")
    return found


def _time(value: object) -> datetime | None:
    if isinstance(value, str):
        value = value.strip()
        if parts := _TIME.fullmatch(value):
            day, clock, fraction, zone = parts.groups()
            zone = (
                "+00:00" if zone in {None, "Z", "UTC"} else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
            )
            return times.from_iso(f"{day}T{clock}{(fraction or '')[:7]}{zone}")
    return times.from_seconds(value) or times.from_milliseconds(value)


def without_empty(**values: object) -> dict[str, Any]:
    """Those that have a value."""
    return {name: value for name, value in values.items() if value is not None and value != ""}
