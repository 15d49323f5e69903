"""Reporting webhooks: how a call is signed, and how long an endpoint that does not take it is left alone."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushkeeper.core.model import Secret

GIVE_UP_AFTER = timedelta(days=7)
LONGEST_WAIT_S = 6 * 3600.0
_FIRST_WAIT_S = 60.0
# What says that the endpoint is not there, or not ours to call: Customer.io waits an hour before it tries again.
_LASTING = frozenset({400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521})
_LASTING_WAIT_S = 3600.0


def signature(key: Secret, timestamp: int, body: bytes) -> str:
    """Lower-case hexadecimal of HMAC-SHA256 over `v0:<timestamp>:<body>`."""
    return hmac.new(key.value, b"v0:%d:" % timestamp + body, hashlib.sha256).hexdigest()


def wait_s(failures: int, status: int | None) -> float:
    """How long all calls wait after so many failures in a row (from 1), the last with this status or without any."""
    first = _LASTING_WAIT_S if status is None or status in _LASTING else _FIRST_WAIT_S
    grown = first * 2.0 ** min(failures - 1, 30)
    return max(first, min(grown, LONGEST_WAIT_S))


def is_success(status: int) -> bool:
    """Whether the endpoint took it."""
    return status // 100 == 2  # noqa: PLR2004 - the class of a status
