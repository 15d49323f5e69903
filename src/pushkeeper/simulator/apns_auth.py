"""Who may push: Apple's provider tokens and client certificates (providers.md 2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from jwt.types import Options

_LIFETIME_S = 3600
_SIGNATURE_ALONE: Options = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
}
_LEEWAY_S = 60
_REMEMBERED_TOKENS = 1000

MISSING = (403, "MissingProviderToken")
INVALID = (403, "InvalidProviderToken")
EXPIRED = (403, "ExpiredProviderToken")


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """The key that a team's provider tokens are signed with; `environment` None means that it is good for both."""

    key_id: str
    team_id: str
    public: EllipticCurvePublicKey
    environment: str | None = None


class ProviderTokens:
    """Checks provider tokens against one key, each signature once."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._issued_at_s: dict[bytes, float | None] = {}

    def refuses(self, token: bytes, now_s: float) -> tuple[int, str] | None:
        """The (status, reason) that a token is refused with, None if it is good now."""
        if token not in self._issued_at_s:
            if len(self._issued_at_s) >= _REMEMBERED_TOKENS:
                self._issued_at_s.clear()
            self._issued_at_s[token] = self._verified(token)
        issued_at_s = self._issued_at_s[token]
        if issued_at_s is None or issued_at_s > now_s + _LEEWAY_S:
            return INVALID
        return EXPIRED if now_s - issued_at_s > _LIFETIME_S else None

    def _verified(self, token: bytes) -> float | None:
        """When a token of the right key and team was issued; None for any other."""
        try:
            header = jwt.get_unverified_header(token)
            claims: dict[str, Any] = jwt.decode(token, self._key.public, ["ES256"], _SIGNATURE_ALONE)
        except jwt.InvalidTokenError:
            return None
        issued_at_s = claims.get("iat")
        if isinstance(issued_at_s, str) and issued_at_s.isascii() and issued_at_s.isdigit():
            issued_at_s = int(issued_at_s)  # as kalyke-apns writes it
        ours = header.get("kid") == self._key.key_id and claims.get("iss") == self._key.team_id
        if not ours or isinstance(issued_at_s, bool) or not isinstance(issued_at_s, int | float):
            return None
        return float(issued_at_s)


def certified_topic(certificate: dict[str, object]) -> str | None:
    """The topic in a client certificate's subject (its UID, as in Apple's), None without a certificate."""
    subject = certificate.get("subject")
    if not isinstance(subject, tuple):
        return None
    return next((value for names in subject for name, value in names if name in {"userId", "UID"}), None)
