"""A browser that has subscribed: its endpoint, its keys, and how it decrypts what is pushed to it.

Sources: RFC 8188 and RFC 8291, from the receiver's side; the shapes of endpoints as the browsers' push services give them.
"""

from __future__ import annotations

import hashlib
import struct
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

Family: TypeAlias = Literal["google", "mozilla", "apple", "microsoft"]

# Where each family's endpoints are, and what is before their own part.
ENDPOINTS: Mapping[Family, tuple[str, str]] = {
    "google": ("https://fcm.googleapis.com", "/fcm/send/"),
    "mozilla": ("https://updates.push.services.mozilla.com", "/wpush/v2/"),
    "apple": ("https://web.push.apple.com", "/Q"),
    "microsoft": ("https://wns2-par02p.notify.windows.com", "/w/?token="),
}
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HEADER = struct.Struct("!16sLB")
_TAG_BYTES = 16
_LAST = b"\x02"


class Unreadable(Exception):
    """The browser cannot decrypt a push: it drops it, and nobody is told."""


@dataclass(frozen=True, slots=True)
class Browser:
    """One subscription.

    Attributes:
        auth: its secret, 16 bytes.
        vapid_key: the public key of the only sender that it takes pushes from; None for any.
    """

    family: Family
    endpoint: str
    private_key: ec.EllipticCurvePrivateKey
    auth: bytes
    vapid_key: bytes | None = None

    @classmethod
    def subscribe(
        cls, family: Family, number: int, seed: int, vapid_key: bytes | None, origin: str | None
    ) -> Self:
        """The nth subscription of a seed, which is always the same."""
        source = hashlib.shake_256(f"{seed}:browser:{number}".encode()).digest(32 + 16 + 96)
        private = ec.derive_private_key(int.from_bytes(source[:32], "big") % (_ORDER - 1) + 1, ec.SECP256R1())
        host, path = ENDPOINTS[family]
        own = urlsafe_b64encode(source[48:]).decode()
        return cls(family, f"{origin or host}{path}{own}", private, source[32:48], vapid_key)

    @property
    def public_key(self) -> bytes:
        """An uncompressed point of P-256, 65 bytes."""
        return self.private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @property
    def keys(self) -> dict[str, str]:
        """The keys as `PushSubscription.toJSON` gives them."""
        return {"p256dh": _text(self.public_key), "auth": _text(self.auth)}

    def decrypt(self, body: bytes) -> bytes:
        """The payload of a push in `aes128gcm`.

        Raises:
            Unreadable: it was not encrypted for this browser, or not as the RFCs say.
        """
        try:
            return self._decrypt(body)
        except (ValueError, InvalidTag, struct.error) as error:
            raise Unreadable(str(error) or type(error).__name__) from None

    def _decrypt(self, body: bytes) -> bytes:
        salt, record_bytes, key_bytes = _HEADER.unpack_from(body)
        start = _HEADER.size + key_bytes
        sender, records = body[_HEADER.size : start], body[start:]
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self.private_key.exchange(ec.ECDH(), point)
        info = b"WebPush: info\0" + self.public_key + sender
        secret = HKDF(hashes.SHA256(), 32, self.auth, info).derive(shared)
        key = HKDF(hashes.SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
        nonce = HKDF(hashes.SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(secret)
        if not _TAG_BYTES < len(records) <= record_bytes:
            raise ValueError("not one record")
        padded = AESGCM(key).decrypt(nonce, records, None).rstrip(b"\0")
        if not padded.endswith(_LAST):
            raise ValueError("the record is not the last")
        return padded[:-1]


def family_of(path: str) -> Family:
    """Whose endpoint this is the path of, as far as can be told."""
    return next((family for family, (_, start) in ENDPOINTS.items() if path.startswith(start)), "mozilla")


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
