"""Spellings of push tokens: which texts are the same token, and which can't be one. Pure.

An APNs token is bytes in hexadecimal: in capitals or not, and in some apps as their language prints bytes (`<1e21b0c5
…>`, `1E-21-B0-…`). All of these are one phone. Other tokens are compared verbatim, without surrounding blanks.
"""

from __future__ import annotations

import re

from pushkeeper.core.model import Token
from pushkeeper.core.placeholders import meaning, placeholder

BLANKS = " \t\n\v\f\r"
# APNs' tokens have at least 32 bytes; FCM's of any kind are never purely hexadecimal.
_HEX = re.compile(r"(?:[0-9a-f]{2}){32,}")
_PRINTED = str.maketrans("", "", BLANKS + "<>-")
_IMPOSSIBLE = re.compile(r"[^!-~]|[]<>(){}\"[]")

# What Google's libraries returned, or threw, instead of a token.
_ERRORS = frozenset(
    {
        "ACCOUNT_MISSING",
        "AUTHENTICATION_FAILED",
        "BLACKLISTED",
        "FIS_AUTH_ERROR",
        "INTERNAL_SERVER_ERROR",
        "INVALID_PARAMETERS",
        "INVALID_SENDER",
        "MISSING_INSTANCEID_SERVICE",
        "PHONE_REGISTRATION_ERROR",
        "SERVICE_NOT_AVAILABLE",
        "TIMEOUT",
        "TOO_MANY_REGISTRATIONS",
    }
)


def canonical(text: str) -> str:
    """The one spelling of a token. The SQL function `canonical_token` is the same."""
    trimmed = text.strip(BLANKS)
    bare = trimmed.translate(_PRINTED).lower()
    return bare if _HEX.fullmatch(bare) else trimmed


def token_of(text: str) -> Token:
    """The canonical token of a text; a text that can't be a token is looked up, and deleted, verbatim."""
    return Token(canonical(text))


def flaw(token: Token) -> str | None:
    """Why a text can't be a token, to follow the name of its field; None if it can."""
    if word := placeholder(token.value):
        return f"is a placeholder ({meaning(word)}), not a push token"
    if token.value.upper() in _ERRORS:
        return f"is an error of the push service's library ({token.value.upper()}), not a push token"
    if not any(character.isalnum() for character in token.value):
        return "has neither letters nor digits, as every push token does"
    if found := _IMPOSSIBLE.search(token.value):
        character = f"U+{ord(found[0]):04X}" if found[0] != " " else "a blank"
        return f"contains {character}, which is not allowed in a push token"
    return None
