"""Message encryption for Web Push: one `aes128gcm` record for one browser. Pure but for its randomness.

Sources: RFC 8188 (the coding), RFC 8291 (its keys).
"""

from __future__ import annotations

import os
from hmac import digest
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from pushkeeper.core.model import Browser

RECORD_BYTES = 4096
OVERHEAD_BYTES = 86 + 1 + 16  # the header, the delimiter of the last record, and the tag
SALT_BYTES = 16
_HEADER = RECORD_BYTES.to_bytes(4, "big") + b"\x41"  # the length of our key
_LAST_RECORD = b"\x02"
_CURVE = ec.SECP256R1()
_ECDH = ec.ECDH()


def encrypted(plaintext: bytes, browser: Browser) -> bytes:
    """The body of a push: with a key and a salt of its own, so that two pushes have nothing in common."""
    return encrypted_with(plaintext, browser, ec.generate_private_key(_CURVE), os.urandom(SALT_BYTES))


def encrypted_with(
    plaintext: bytes, browser: Browser, own_key: ec.EllipticCurvePrivateKey, salt: bytes
) -> bytes:
    """The same with this key and salt, which are for one push alone."""
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, browser.p256dh)
    own = own_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    # RFC 8291, 3.4: HKDF (RFC 5869) with one block of output is two HMACs.
    shared = digest(browser.auth, own_key.exchange(_ECDH, theirs), "sha256")
    secret = digest(shared, b"WebPush: info\x00" + browser.p256dh + own + b"\x01", "sha256")
    extracted = digest(salt, secret, "sha256")
    key = digest(extracted, b"Content-Encoding: aes128gcm\x00\x01", "sha256")[:16]
    nonce = digest(extracted, b"Content-Encoding: nonce\x00\x01", "sha256")[:12]
    return b"".join(
        (salt, _HEADER, own, AESGCM(key).encrypt(nonce, plaintext + _LAST_RECORD, None)),
    )
