"""Google's token endpoint: a service account's signed grant in, an access token out (providers.md 1.1)."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import jwt
import msgspec

from pushkeeper.simulator.exchange import Answer, Reply, Request

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from jwt.types import Options

    from pushkeeper.simulator.world import World

_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# What sends pushes, and what else Google's SDKs ask for beside it, with no option to ask for less.
_SENDING_SCOPES = frozenset(
    {
        "https://www.googleapis.com/auth/firebase.messaging",
        "https://www.googleapis.com/auth/cloud-platform",
    }
)
_SCOPES = _SENDING_SCOPES | {
    "https://www.googleapis.com/auth/datastore",
    "https://www.googleapis.com/auth/devstorage.read_write",
    "https://www.googleapis.com/auth/firebase",
    "https://www.googleapis.com/auth/firebase.database",
    "https://www.googleapis.com/auth/identitytoolkit",
    "https://www.googleapis.com/auth/userinfo.email",
}
# Google's libraries name one of these whatever `token_uri` is (google-auth: `_GOOGLE_OAUTH2_TOKEN_ENDPOINT`).
_AUDIENCES = frozenset(
    {
        "https://oauth2.googleapis.com/token",
        "https://www.googleapis.com/oauth2/v4/token",
        "https://accounts.google.com/o/oauth2/token",
    }
)
_PATHS = frozenset(urlsplit(audience).path.encode() for audience in _AUDIENCES)
_LIFETIME_S = 3600
_SIGNATURE_ALONE: Options = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
}
_LEEWAY_S = 300
_SKEW = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and"
    " exp values in the JWT claim."
)


class OAuth:
    """The endpoint `/token`, and the access tokens that it gave out."""

    def __init__(self, world: World, account: str, key: RSAPublicKey) -> None:
        self._world = world
        self._account = account
        self._key = key
        self._expires_at_s: dict[bytes, float] = {}
        self._without_sending: set[bytes] = set()
        self.audience = ""

    def admits(self, authorization: bytes) -> bool:
        """Whether a request's `authorization` holds an access token from here that still counts."""
        if authorization[:7].lower() != b"bearer ":
            return False
        return self._expires_at_s.get(authorization[7:], 0) > self._world.clock()

    def allows_sending(self, authorization: bytes) -> bool:
        """Whether the request's access token has a scope that sends pushes."""
        return authorization[7:] not in self._without_sending

    def issue(self, *, sends: bool = True) -> str:
        """Give out an access token for an hour, as the endpoint does for a good grant."""
        now_s = self._world.clock()
        self._expires_at_s = {held: at_s for held, at_s in self._expires_at_s.items() if at_s > now_s}
        self._without_sending &= self._expires_at_s.keys()
        source = hashlib.shake_256(b"%d:access" % self._world.next_id())
        token = "ya29." + urlsafe_b64encode(source.digest(48)).decode()
        self._expires_at_s[token.encode()] = now_s + _LIFETIME_S
        if not sends:
            self._without_sending.add(token.encode())
        return token

    def revoke(self) -> None:
        """Make every access token that was given out worthless."""
        self._expires_at_s.clear()

    def handle(self, request: Request) -> Answer:
        """Answer one grant."""
        if request.fields.get(b":path") not in _PATHS or request.fields[b":method"] != b"POST":
            return self._answer(request, 404, {"error": "not_found"})
        form = parse_qs(request.body.decode("latin-1"))
        grant_type = form.get("grant_type", [""])[0]
        if grant_type != _GRANT_TYPE:
            return self._refuse(request, "unsupported_grant_type", f"Invalid grant_type: {grant_type}")
        claims = self._verified(form.get("assertion", [""])[0])
        if isinstance(claims, str):
            return self._refuse(request, "invalid_grant", claims)
        if (error := self._refused(claims)) is not None:
            return self._refuse(request, *error)
        token = self.issue(sends=not _SENDING_SCOPES.isdisjoint(claims["scope"].split()))
        answer = {"access_token": token, "expires_in": _LIFETIME_S, "token_type": "Bearer"}
        return self._answer(request, 200, answer)

    def _verified(self, assertion: str) -> dict[str, Any] | str:
        try:
            return jwt.decode(assertion, self._key, ["RS256"], _SIGNATURE_ALONE)
        except jwt.InvalidSignatureError:
            return "Invalid JWT Signature."
        except jwt.InvalidTokenError:
            return "Bad Request"

    def _refused(self, claims: dict[str, Any]) -> tuple[str, str] | None:
        if claims.get("iss") != self._account:
            return "invalid_grant", "Invalid grant: account not found"
        if claims.get("aud") not in {self.audience, *_AUDIENCES}:
            sentence = f"Invalid JWT: Failed audience check. The right audience is {self.audience}"
            return "invalid_grant", sentence
        scopes = str(claims.get("scope", "")).split()
        if not scopes or not _SCOPES.issuperset(scopes):
            return "invalid_scope", "Invalid OAuth scope or ID token audience provided."
        issued_s, expires_s = claims.get("iat"), claims.get("exp")
        if not isinstance(issued_s, int | float) or not isinstance(expires_s, int | float):
            return "invalid_grant", _SKEW
        now_s = self._world.clock()
        timely = issued_s <= now_s + _LEEWAY_S and expires_s > now_s - _LEEWAY_S
        if not timely or not 0 < expires_s - issued_s <= _LIFETIME_S:
            return "invalid_grant", _SKEW
        return None

    def _refuse(self, request: Request, error: str, description: str) -> Reply:
        return self._answer(request, 400, {"error": error, "error_description": description})

    def _answer(self, request: Request, http: int, answer: dict[str, Any]) -> Reply:
        # The assertion would let its finder in for an hour: the journal has the request without it.
        self._world.record("", "oauth", (request.headers, b""), (http, answer.get("error", "")))
        headers = ((b":status", b"%d" % http), (b"content-type", b"application/json; charset=utf-8"))
        return Reply(headers, msgspec.json.encode(answer))
