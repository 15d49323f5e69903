"""Who sends a push: VAPID keys, and the tokens that are signed with them, one for each origin. Pure.

Source: RFC 8292. `exp` may be a day away at most; Apple asks not to renew a token more than once in an hour.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from pushkeeper.core.devices import vapid_keys
from pushkeeper.core.devices.browser_keys import decoded, encoded, key_id
from pushkeeper.core.model import Secret
from pushkeeper.errors import BadRequest, Misconfigured

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Self

TOKEN_LIFE = timedelta(hours=24)
RENEWED_AFTER = timedelta(hours=12)
_MOST_ORIGINS = 1024
_SCALAR_BYTES = 32
_CURVE = ec.SECP256R1()
_SUBJECT = re.compile(r"mailto:[^@\s<>,]+@[^@\s<>,]+\.[^@\s<>,.]+|https://[^\s/:@]+\.[^\s/:@.]+(?:/\S*)?")
_ALGORITHM = encoded(b'{"typ":"JWT","alg":"ES256"}').encode()


def subject_of(text: str) -> str:
    """How the push services can reach the sender.

    Raises:
        BadRequest: it is neither an address of mail nor one of the web; Apple refuses all pushes then.
    """
    found = text.strip()
    if not _SUBJECT.fullmatch(found) or found.lower().removeprefix("https://").startswith("localhost"):
        raise BadRequest(
            "subject", "must be mailto: with an email address, or an https URL of the sender's site."
        )
    return found


@dataclass(frozen=True, slots=True)
class VapidKey:
    """A pair of keys, by which browsers and push services know the sender.

    Attributes:
        private: the number of the private key, 32 bytes.
        public: an uncompressed point of P-256, 65 bytes.
    """

    private: Secret
    public: bytes

    @property
    def key_id(self) -> str:
        return key_id(self.public)

    @classmethod
    def generate(cls) -> Self:
        return cls._of(ec.generate_private_key(_CURVE))

    @classmethod
    def parse(cls, given: bytes, field: str = "private_key") -> Self:
        """Read a private key: in PEM, or its 32 bytes in URL-safe base64 as web-push libraries print them.

        Raises:
            BadRequest: it is neither, or of another curve.
        """
        try:
            text = given.decode("ascii").strip()
            if text.startswith("-----BEGIN"):
                key = load_pem_private_key(text.encode(), password=None)
            else:
                # Of another length it is no number of the curve, or not the one that was meant.
                number = decoded(text) or b""
                fits = len(number) == _SCALAR_BYTES
                key = ec.derive_private_key(int.from_bytes(number, "big") if fits else 0, _CURVE)
        except (ValueError, TypeError):
            expected = "a private key in PEM, or its 32 bytes in URL-safe base64"
            raise BadRequest(field, f"must be {expected}.") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise BadRequest(field, "must be a P-256 key; this is another kind of private key.")
        return cls._of(key)

    @classmethod
    def _of(cls, key: ec.EllipticCurvePrivateKey) -> Self:
        private = key.private_numbers().private_value.to_bytes(_SCALAR_BYTES, "big")
        public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return cls(Secret(private), public)

    def signer(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(self.private.value, "big"), _CURVE)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one sender: the current one first, then those that older subscriptions were made with."""

    keys: tuple[VapidKey, ...]

    @property
    def current(self) -> VapidKey:
        return self.keys[0]

    def of(self, wanted: str) -> VapidKey | None:
        """The key of this id, "" for the current one; None if it is not ours."""
        if not wanted:
            return self.current
        return next((key for key in self.keys if key.key_id == wanted), None)

    def sealed(self) -> Secret:
        """All private keys, as they are stored."""
        return vapid_keys.packed([encoded(key.private.value) for key in self.keys])

    @classmethod
    def parse(cls, secret: Secret) -> Self:
        """Undo `sealed`.

        Raises:
            Misconfigured: it is something else.
        """
        stored = vapid_keys.unpacked(secret)
        if not stored:
            raise Misconfigured("database: the stored VAPID keys are damaged")
        return cls(tuple(VapidKey.parse(one.encode()) for one in stored))


@dataclass(frozen=True, slots=True)
class VapidToken:
    """One signed token; the header value is a secret."""

    header: Secret
    renew_at: datetime


class VapidTokens:
    """The tokens of one key, for as many origins as it is used with."""

    def __init__(self, key: VapidKey, subject: str) -> None:
        self._signer = key.signer()
        self._public = encoded(key.public).encode()
        self._subject = subject
        self._tokens: OrderedDict[str, VapidToken] = OrderedDict()

    def current(self, origin: str, now: datetime) -> VapidToken:
        """The token for an origin; a new one once the last is twelve hours old."""
        found = self._tokens.get(origin)
        if found is None or now >= found.renew_at:
            found = self._tokens[origin] = self._signed(origin, now)
            if len(self._tokens) > _MOST_ORIGINS:
                self._tokens.popitem(last=False)
        return found

    def _signed(self, origin: str, now: datetime) -> VapidToken:
        expires_at = int((now + TOKEN_LIFE).timestamp()) - 60  # a minute for the clocks' difference
        claims = msgspec.json.encode({"aud": origin, "exp": expires_at, "sub": self._subject})
        signed = _ALGORITHM + b"." + encoded(claims).encode()
        r, s = decode_dss_signature(self._signer.sign(signed, ec.ECDSA(hashes.SHA256())))
        signature = encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big")).encode()
        header = b"vapid t=" + signed + b"." + signature + b", k=" + self._public
        return VapidToken(Secret(header), now + RENEWED_AFTER)
