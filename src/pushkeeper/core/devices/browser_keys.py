"""The keys of a browser's subscription, as the browser gives them. Pure.

Source: W3C Push API, `PushSubscription.getKey`; RFC 8291, 3.1 and 3.2.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from pushkeeper.core.model import Browser, Secret

if TYPE_CHECKING:
    from pushkeeper.core.model import Token, WorkspaceId

POINT_BYTES = 65
AUTH_BYTES = 16
_UNCOMPRESSED = 4
_KEY_ID_CHARACTERS = 16
# Browsers write URL-safe base64 without padding; libraries write the other alphabet and padding, too.
_BASE64 = re.compile(r"[A-Za-z0-9_+/-]+={0,2}")
# The curve P-256 (FIPS 186-4, D.1.2.3).
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def packed(p256dh: bytes, auth: bytes) -> Secret:
    """Both keys of a subscription, as they are sealed."""
    return Secret(p256dh + auth)


def label(workspace: WorkspaceId, token: Token) -> str:
    """What a subscription's encrypted keys are bound to: its workspace and endpoint, but not the device's owner."""
    return f"browser keys {workspace}/{sha256(token.value.encode()).hexdigest()}"


def unpacked(secret: Secret, vapid_key: str) -> Browser | None:
    """The keys of a subscription that was made with this VAPID key; None if they have another length."""
    if len(secret.value) != POINT_BYTES + AUTH_BYTES:
        return None
    return Browser(secret.value[:POINT_BYTES], secret.value[POINT_BYTES:], vapid_key)


def decoded(text: object) -> bytes | None:
    """The bytes of a text in base64 of either alphabet, padded or not; None if it is something else."""
    if not isinstance(text, str) or not _BASE64.fullmatch(text.strip()):
        return None
    plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except ValueError:
        return None


def encoded(data: bytes) -> str:
    """URL-safe base64 without padding, as browsers write keys."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def is_point(data: bytes | None) -> bool:
    """Whether these are an uncompressed point of the curve P-256."""
    if data is None or len(data) != POINT_BYTES or data[0] != _UNCOMPRESSED:
        return False
    x, y = int.from_bytes(data[1:33], "big"), int.from_bytes(data[33:], "big")
    return x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0


def key_id(public_key: bytes) -> str:
    """The short name of a VAPID public key (65 bytes): 16 characters of the URL-safe base64 of its SHA-256."""
    return encoded(sha256(public_key).digest())[:_KEY_ID_CHARACTERS]
