"""How text and JSON values are compared: as booleans, numbers, versions or times.

The same rules exist in SQL, in the functions of migrations 0007 and 0011; property tests prove them equal.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

import msgspec

Version: TypeAlias = tuple[int, ...]

MOST_PARTS = 6  # of a version
MOST_SECONDS = Decimal(253_402_300_799)  # the end of the year 9999
DURATION_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
_UNIX = re.compile(r"[0-9]{1,12}")
_VERSION = re.compile(r"v?([0-9]{1,9}(\.[0-9]{1,9}){0,5})(?![0-9.])")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])?)?"
)


def meanings(value: str) -> tuple[str | float | bool, ...]:
    """The JSON values that a text can equal: itself, and the number or boolean that it spells; never a list or an object."""
    if value not in ("true", "false") and not _NUMBER.fullmatch(value):
        return (value,)
    return (value, msgspec.json.decode(value))


def number(value: object) -> Decimal | None:
    """The number that a value of JSON is, or that its text spells."""
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(str(value))


def version(value: object) -> Version | None:
    """The version at the start of a text, or that a number spells: 4.2, v4.2.0 and "4.2 (118)" are the same."""
    found = number(value)
    text = value if isinstance(value, str) else None if found is None else f"{_plain(found)}"
    match = None if text is None else _VERSION.match(text)
    if match is None:
        return None
    parts = [int(part) for part in match[1].split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def seconds(value: object) -> Decimal | None:
    """The time of a JSON value, in seconds since 1970: a number, or ISO 8601 text.

    Text without a time zone is UTC, and without a time of day it is midnight.
    """
    if isinstance(value, str) and not _UNIX.fullmatch(value):
        return _moment(value)
    found = number(int(value) if isinstance(value, str) else value)
    return found if found is not None and 0 <= found <= MOST_SECONDS else None


def seconds_of(moment: datetime) -> Decimal:
    """A moment in seconds since 1970, exact to the microsecond."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return Decimal((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) / 1_000_000


def moment_of(found: Decimal) -> datetime:
    """The time of a number of seconds since 1970, to the microsecond."""
    return datetime.fromtimestamp(int(found), UTC).replace(microsecond=int(found % 1 * 1_000_000))


def _moment(text: str) -> Decimal | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
        since = seconds_of(found)
    except (ValueError, OverflowError):
        return None
    return since if 0 <= since <= MOST_SECONDS else None


def _plain(found: Decimal) -> str:
    """Its digits without an exponent and without zeros at the end of a fraction, as PostgreSQL's trim_scale has it."""
    text = f"{abs(found) if found == 0 else found:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
