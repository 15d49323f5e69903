"""The credentials that we sign with, and what is signed: provider tokens for Apple, grant assertions for Google.

Sources: Apple, "Establishing a token-based connection to APNs"; RFC 7523 as Google's token endpoint takes it.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import jwt
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from pushkeeper.core.model import Secret
from pushkeeper.errors import BadRequest
from pushkeeper.providers import pem as pems

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

_PROJECT_ID = re.compile(r"[A-Za-z0-9.:-]{1,100}")


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
        fields = _fields(data)
        pem, key = _key_of_account(fields)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BadRequest("service_account.private_key", "is not an RSA private key.")
        project_id = _text(fields, "project_id")
        if not _PROJECT_ID.fullmatch(project_id):
            raise BadRequest("service_account.project_id", "is not a project's id.")
        return cls(
            project_id=project_id,
            client_email=_text(fields, "client_email"),
            token_uri=_text(fields, "token_uri"),
            private_key_id=str(fields.get("private_key_id") or "").strip(),
            private_key=Secret(pem),
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


def _fields(data: bytes) -> dict[str, object]:
    """The file's object; its texts may contain raw line breaks, and the whole may be a string within JSON."""
    try:
        found = json.loads(pems.text_of(data), strict=False)
        if isinstance(found, str):
            found = json.loads(found, strict=False)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadRequest("service_account", "must be the JSON file of a service account.")
    if "project_info" in found:
        raise BadRequest(
            "service_account",
            "this is the app's google-services.json. The service account's file is made in the Firebase "
            "console under Project settings, Service accounts.",
        )
    return found


def _key_of_account(fields: dict[str, object]) -> tuple[bytes, PrivateKeyTypes]:
    said = _text(fields, "private_key")
    return pems.private_key(
        pems.blocks(said), said.encode(), "service_account.private_key", "an RSA private key in PEM"
    )


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"service_account.{name}", "is missing.", "missing")
    return value.strip()


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
            BadRequest: it is not a P-256 private key in PEM without a passphrase, or an id is missing.
        """
        ids = {"key_id": key_id.strip(), "team_id": team_id.strip()}
        for name, value in ids.items():
            if not value or not value.isascii() or not value.isalnum():
                raise BadRequest(name, "must be letters and digits, as Apple shows it.")
        found = pems.blocks(pems.text_of(pem))
        repaired, key = pems.private_key(
            found, pem, "key", "the .p8 file that Apple gave: a private key in PEM"
        )
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise BadRequest("key", "must be a P-256 key; this is another kind of private key.")
        return cls(**ids, private_key=Secret(repaired))


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleCertificate:
    """A push certificate and its private key, in one PEM file as TLS libraries read it.

    Attributes:
        app: the bundle ID in the certificate's subject; None without one.
    """

    pem: Secret
    starts_at: datetime
    expires_at: datetime
    app: str | None

    @classmethod
    def parse(cls, pem: bytes) -> AppleCertificate:
        """Read the file; its certificates may be in any order, mixed with CA certificates.

        Raises:
            BadRequest: it lacks a certificate or a private key, or they do not belong together.
        """
        found = pems.blocks(pems.text_of(pem))
        certificates = [block.pem for block in found if block.label.endswith("CERTIFICATE")]
        if not certificates:
            binary = (
                " Of a .p12, `openssl pkcs12 -in FILE -nodes -out NEW-FILE` makes that."
                if pem[:1] == b"0"
                else ""
            )
            raise BadRequest("certificate", f"must hold a certificate in PEM.{binary}")
        key_pem, key = pems.private_key(
            found, pem, "certificate", "a certificate and its private key, both in PEM"
        )
        try:
            read = [(x509.load_pem_x509_certificate(one), one) for one in certificates]
        except ValueError:
            raise BadRequest("certificate", "a certificate in it is damaged.") from None
        ours = _public_bytes(key.public_key())
        own = [one for one in read if _public_bytes(one[0].public_key()) == ours]
        if not own:
            raise BadRequest("certificate", "does not belong to the private key.")
        # Of several with the same key, as after a renewal, the one that is good for longest.
        leaf, leaf_pem = max(own, key=lambda one: one[0].not_valid_after_utc)
        chain = [one for certificate, one in read if (certificate, one) not in own]
        # OpenSSL wants the certificate first, then those that vouch for it.
        return cls(
            pem=Secret(b"".join((leaf_pem, *chain, key_pem))),
            starts_at=leaf.not_valid_before_utc,
            expires_at=leaf.not_valid_after_utc,
            app=next(
                (str(one.value) for one in leaf.subject.get_attributes_for_oid(x509.NameOID.USER_ID)), None
            ),
        )


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
        private_key = load_pem_private_key(key.private_key.value, password=None)
        if not isinstance(private_key, ec.EllipticCurvePrivateKey):
            raise BadRequest("key", "must be a P-256 private key.")
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
        """Apple reports `refused` as expired: mint a new one, unless it is under 20 minutes old.

        True when the current token differs from the rejected one; False means that our clock is wrong, not the token's age.
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
