"""What push services check of a sender: the token and the key of `Authorization: vapid` (RFC 8292)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

_PARTS = re.compile(r"\s*(\w)\s*=\s*\"?([A-Za-z0-9_.-]+)\"?\s*(?:,|;|$)")
_LONGEST_S = 24 * 3600
_SUBJECT = re.compile(r"mailto:[^@\s]+@[^@\s]+\.[^@\s]+|https://(?!localhost)\S+")


class Refused(Exception):
    """The token is not good; the message is for people."""


class _Claims(msgspec.Struct):
    aud: str
    exp: int
    sub: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who pushes: the public key, 65 bytes, and how they can be reached."""

    public_key: bytes
    subject: str | None


def sender_of(authorization: str, origin: str, now_s: float) -> Sender:
    """Who sends a push to an endpoint of this origin.

    Raises:
        Refused: the header is missing or malformed, the signature wrong, or a claim not as it must be.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    parts = dict(_PARTS.findall(rest))
    if scheme.lower() != "vapid" or not {"t", "k"} <= parts.keys():
        raise Refused("authorization must be vapid, with t and k")
    try:
        public = _decoded(parts["k"])
        claims = _verified(parts["t"], public)
    except (ValueError, InvalidSignature, msgspec.MsgspecError) as error:
        raise Refused(f"invalid token: {type(error).__name__}") from None
    if claims.aud != origin:
        raise Refused(f"aud is {claims.aud}, and not {origin}")
    if not now_s < claims.exp <= now_s + _LONGEST_S:
        raise Refused("exp must be within the next 24 hours")
    if claims.sub is not None and not _SUBJECT.fullmatch(claims.sub):
        raise Refused("sub must be mailto: or https:")
    return Sender(public, claims.sub)


def _verified(token: str, public: bytes) -> _Claims:
    head, claims, signature = token.split(".")
    if msgspec.json.decode(_decoded(head), type=dict[str, str]).get("alg") != "ES256":
        raise ValueError("alg must be ES256")
    raw = _decoded(signature)
    if len(raw) != 64:  # noqa: PLR2004 - two numbers of 32 bytes
        raise ValueError("the signature must be r and s")
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    key.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    return msgspec.json.decode(_decoded(claims), type=_Claims)


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
