"""A browser in which somebody has logged in before: what it holds to be known by, so that strangers can't lock it out."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import Secret
    from pushkeeper.core.roles import UserId

LIVES = timedelta(days=400)  # the longest that browsers keep a cookie
_PARTS = Struct(">QQ16s")  # user, end in Unix seconds, number of the device
_MAC_BYTES = 16


class KnownDevices:
    """Creates and verifies the cookie of a browser that somebody logged in with; it only separates the counts of failed attempts.

    It is URL-safe base64 of 8 bytes of the user's key, 8 of its expiry, 16 random ones, and 16 of HMAC-SHA-256 over
    them.
    """

    def __init__(self, key: Secret) -> None:
        self._key = key.value

    def make(self, user: UserId, now: datetime) -> str:
        """What a browser is to hold in which this user has just logged in."""
        parts = _PARTS.pack(user, int((now + LIVES).timestamp()), secrets.token_bytes(16))
        return urlsafe_b64encode(parts + self._mac(parts)).decode().rstrip("=")

    def read(self, held: str, user: UserId, now: datetime) -> str | None:
        """The number of the device; None of what is none of this user's, or has ended."""
        try:
            raw = urlsafe_b64decode(held + "=" * (-len(held) % 4))
        except ValueError:
            return None
        parts, mac = raw[: _PARTS.size], raw[_PARTS.size :]
        if len(raw) != _PARTS.size + _MAC_BYTES or not hmac.compare_digest(mac, self._mac(parts)):
            return None
        whose, ends_at, number = _PARTS.unpack(parts)
        return number.hex() if whose == user and now.timestamp() < ends_at else None

    def _mac(self, parts: bytes) -> bytes:
        return hmac.new(self._key, parts, sha256).digest()[:_MAC_BYTES]
