"""Times in responses: `Retry-After` (RFC 9110, 10.2.3) in both its forms, and `Date`. Pure."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.providers.transport.response import Response

_SECONDS = re.compile(rb"[0-9]{1,9}")
_LONGEST_S = 28 * 86_400.0  # no push lives longer, and a proxy's mistake must not stop a route for years


def retry_after_s(response: Response, now: datetime) -> float | None:
    """Seconds from `now`, between 0 and 28 days; None if the header is absent or invalid."""
    value = response.header(b"retry-after")
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), _LONGEST_S)
    due_at = _http_date(value)
    return None if due_at is None else min(max((due_at - now).total_seconds(), 0.0), _LONGEST_S)


def said_at(response: Response) -> datetime | None:
    """The server's clock as it says it, to the second; None when it does not."""
    value = response.header(b"date")
    return None if value is None else _http_date(value)


def _http_date(value: bytes) -> datetime | None:
    try:
        found = parsedate_to_datetime(value.decode("ascii"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
