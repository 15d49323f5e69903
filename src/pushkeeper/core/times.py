"""Parse times from outside, only here: in every form that clients write, and within the range that can be stored.

PostgreSQL, its driver and Python disagree about the ends of the calendar: the driver writes the first moment of the
year 1 as -infinity, which has no seconds since 1970. So the accepted range lies well within all of theirs, and CHECK
constraints enforce it again (docs/decisions/0031-times-from-outside.md).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
TOO_LATE = datetime(2200, 1, 1, tzinfo=UTC)  # the first moment that is out of bounds

_BOUND_S = int((TOO_LATE - EARLIEST).total_seconds())
_LEAST_MS = (
    10**11
)  # in seconds this is out of bounds, and in milliseconds it is of 1973: no number is ambiguous
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def bounded(moment: datetime) -> datetime | None:
    """An aware time converted to UTC; None if it is out of bounds."""
    try:
        found = moment.astimezone(UTC)
    except OverflowError:  # the first and the last hours of the calendar overflow in another zone
        return None
    return found if EARLIEST <= found < TOO_LATE else None


def from_seconds(value: object) -> datetime | None:
    """Seconds since 1970, as a number or its digits; None for anything else, and if out of bounds."""
    return _since_1970(value, least=0, unit=timedelta(seconds=1))


def from_milliseconds(value: object) -> datetime | None:
    """Milliseconds since 1970, as a number or its digits; None for anything else, and for what can only be seconds."""
    return _since_1970(value, least=_LEAST_MS, unit=timedelta(milliseconds=1))


def from_iso(value: object) -> datetime | None:
    """A text of ISO 8601, in UTC if it has no zone; None for anything else, and if out of bounds."""
    found = _iso(value)
    return (
        None if found is None else bounded(found if found.tzinfo is not None else found.replace(tzinfo=UTC))
    )


def from_any(value: object) -> datetime | None:
    """Seconds, milliseconds, or a text of ISO 8601 with its zone; None for anything else, and if out of bounds."""
    found = from_seconds(value) or from_milliseconds(value)
    if found is None and (iso := _iso(value)) is not None and iso.tzinfo is not None:
        return bounded(iso)
    return found


def local(value: object) -> datetime | None:
    """A local time, as a text of ISO 8601 without a zone; None for anything else, and if out of bounds."""
    found = _iso(value)
    if found is None or found.tzinfo is not None or bounded(found.replace(tzinfo=UTC)) is None:
        return None
    return found


def corrected(original: datetime, *, sent_at: datetime, received_at: datetime) -> datetime:
    """When something happened by our clock, which a phone with a clock of its own dated and sent: never later than received.

    As Segment has it: timestamp = receivedAt - (sentAt - originalTimestamp).
    """
    return bounded(received_at - max(sent_at - original, timedelta())) or received_at


def _since_1970(value: object, *, least: int, unit: timedelta) -> datetime | None:
    if isinstance(value, str):
        digits = value.strip()
        if not _NUMBER.fullmatch(digits):
            return None
        value = float(digits) if "." in digits else int(digits)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not least <= value < _BOUND_S * (timedelta(seconds=1) // unit):
        return None
    return bounded(EARLIEST + value * unit)


def _iso(value: object) -> datetime | None:
    text = value.strip() if isinstance(value, str) else ""
    # Python also accepts week dates and dates without hyphens, which are more likely a number's digits.
    if not _DATE.match(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None
