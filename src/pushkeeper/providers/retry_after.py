"""The `Retry-After` header (RFC 9110, 10.2.3) in both its forms. Pure."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.providers.answer import Response

_SECONDS = re.compile(rb"[0-9]{1,9}")


def retry_after_s(response: Response, now: datetime) -> float | None:
    """Seconds from `now`, never negative; None when the header is absent or makes no sense."""
    value = response.header(b"retry-after")
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        due_at = parsedate_to_datetime(value.decode("ascii"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if due_at.tzinfo is None:
        due_at = due_at.replace(tzinfo=UTC)
    return max((due_at - now).total_seconds(), 0.0)
