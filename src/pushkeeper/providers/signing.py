"""The credentials that we sign with, and what is signed: provider tokens for Apple, grant assertions for Google.

Sources: Apple, "Establishing a token-based connection to APNs"; RFC 7523 as Google's token endpoint takes it.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import jwt
import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from pushkeeper.core.model import Secret
from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

Clock: TypeAlias = "Callable[[], datetime]"

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT_LIFE_S = 3600

TOKEN_LIFE = timedelta(minutes=50)
SHORTEST_BETWEEN = timedelta(minutes=20)
# Apple takes a token for an hour; what is left is for the requests under way and the clocks' difference.
OLDEST_USEFUL = timedelta(minutes=55)

_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----\s*", re.DOTALL)


def utc_now() -> datetime:
    """The clock on the wall."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A Google service account, from the JSON file of the Firebase console."""

    project_id: str
    client_email: str
    token_uri: str
    private_key_id: str
    private_key: Secret

    @classmethod
    def parse(cls, data: bytes) -> ServiceAccount:
        """Read the file.

        Raises:
            BadRequest: it is not JSON, lacks a field, or its key is not an RSA private key.
        """
        try:
            fields = msgspec.json.decode(data, type=dict[str, object])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise BadRequest(
                "service_account", "service_account must be the JSON file of a service account."
            ) from None
        private_key = _text(fields, "private_key").encode()
        if not isinstance(_private_key(private_key), rsa.RSAPrivateKey):
            raise BadRequest(
                "service_account.private_key", "service_account.private_key is not an RSA private key."
            )
        return cls(
            project_id=_text(fields, "project_id"),
            client_email=_text(fields, "client_email"),
            token_uri=_text(fields, "token_uri"),
            private_key_id=str(fields.get("private_key_id") or ""),
            private_key=Secret(private_key),
        )

    def assertion(self, now: datetime) -> bytes:
        """The signed claim that Google's token endpoint changes for an access token."""
        issued_at = int(now.timestamp())
        claims = {
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": issued_at,
            "exp": issued_at + GRANT_LIFE_S,
        }
        headers = {"kid": self.private_key_id} if self.private_key_id else None
        key = self.private_key.value.decode()
        return jwt.encode(claims, key, algorithm="RS256", headers=headers).encode()


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"service_account.{name}", f"service_account.{name} is missing.")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleKey:
    """An APNs authentication key: the `.p8` file with its key id and team id."""

    key_id: str
    team_id: str
    private_key: Secret

    @classmethod
    def parse(cls, pem: bytes, *, key_id: str, team_id: str) -> AppleKey:
        """Read the file.

        Raises:
            BadRequest: it is not a P-256 private key in PEM, or an id is missing.
        """
        for name, value in (("key_id", key_id), ("team_id", team_id)):
            if not value or not value.isascii() or not value.isalnum():
                raise BadRequest(name, f"{name} must be letters and digits, as Apple shows it.")
        key = _private_key(pem)
        if key is None:
            raise BadRequest("key", "key must be the .p8 file that Apple gave: a private key in PEM.")
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise BadRequest("key", "key must be a P-256 key; this is another kind of private key.")
        return cls(key_id=key_id, team_id=team_id, private_key=Secret(pem))


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleCertificate:
    """A push certificate and its private key, in one PEM file as TLS libraries read it."""

    pem: Secret
    expires_at: datetime

    @classmethod
    def parse(cls, pem: bytes) -> AppleCertificate:
        """Read the file.

        Raises:
            BadRequest: it lacks a certificate or a private key, or they do not belong together.
        """
        blocks = {match[1]: match[0] for match in reversed(list(_PEM_BLOCK.finditer(pem)))}
        try:
            certificate = x509.load_pem_x509_certificate(blocks.get(b"CERTIFICATE", b""))
        except ValueError:
            raise BadRequest("certificate", "certificate must hold a certificate in PEM.") from None
        key = next(
            (_private_key(block) for kind, block in blocks.items() if kind.endswith(b"PRIVATE KEY")), None
        )
        if key is None:
            raise BadRequest(
                "certificate", "certificate must hold its private key too, in PEM without a passphrase."
            )
        if _public_bytes(key.public_key()) != _public_bytes(certificate.public_key()):
            raise BadRequest("certificate", "certificate and private key do not belong together.")
        return cls(pem=Secret(pem), expires_at=certificate.not_valid_after_utc)


def _private_key(pem: bytes) -> PrivateKeyTypes | None:
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class ProviderToken:
    """One signed token and the `iat` in it; the header value is a secret."""

    issued_at: datetime
    header: Secret


class ProviderTokens:
    """The provider tokens of one key in one environment, shared by all its connections.

    `iat` lies on a grid of 50 minutes and the signature is deterministic (RFC 6979), so that every process of ours, and
    the same one after a restart, arrives at the same token: Apple counts a changed token, not a repeated one.
    """

    def __init__(self, key: AppleKey, clock: Clock) -> None:
        """`key` is taken as parsed: a P-256 private key."""
        self._key = key
        self._clock = clock
        private_key = _private_key(key.private_key.value)
        if not isinstance(private_key, ec.EllipticCurvePrivateKey):
            raise BadRequest("key", "key must be a P-256 private key.")
        self._private_key = private_key
        self._current: ProviderToken | None = None
        self._former: ProviderToken | None = None
        self._use_until: datetime | None = None

    def current(self) -> ProviderToken:
        """The token to use now; a new one once the last is 50 minutes old."""
        now = self._clock()
        if self._current is None or self._use_until is None or now >= self._use_until:
            return self._mint(self._next_issue(now))
        return self._current

    def renew_expired(self, refused: ProviderToken) -> bool:
        """Apple calls `refused` expired: mint anew, unless it is under 20 minutes old.

        True when the token to use is now another than the refused one; False means that our clock, and not the token's age,
        is what Apple dislikes.
        """
        now = self._clock()
        if self._current is not None and self._current != refused:
            return True
        if now - refused.issued_at < SHORTEST_BETWEEN:
            return False
        self._mint(now)
        return True

    def fall_back(self) -> None:
        """Apple calls our tokens too many: go back to the former one while it is under 55 minutes old."""
        if self._former is not None and self._clock() - self._former.issued_at < OLDEST_USEFUL:
            self._current, self._former = self._former, None
            self._use_until = self._current.issued_at + OLDEST_USEFUL

    def _next_issue(self, now: datetime) -> datetime:
        life_s = int(TOKEN_LIFE.total_seconds())
        on_grid = datetime.fromtimestamp(int(now.timestamp()) // life_s * life_s, UTC)
        # After a renewal off the grid, the grid's own token might have to be replaced again too soon.
        too_short = self._current is not None and on_grid + TOKEN_LIFE - now < SHORTEST_BETWEEN
        return now if too_short else on_grid

    def _mint(self, issued_at: datetime) -> ProviderToken:
        header = msgspec.json.encode({"alg": "ES256", "kid": self._key.key_id})
        claims = msgspec.json.encode({"iss": self._key.team_id, "iat": int(issued_at.timestamp())})
        signed = _base64(header) + b"." + _base64(claims)
        der = self._private_key.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        signature = _base64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        token = ProviderToken(issued_at, Secret(b"bearer " + signed + b"." + signature))
        self._former, self._current = self._current, token
        self._use_until = issued_at + TOKEN_LIFE
        return token


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
