"""What may be kept of a provider's words: printable, short, and without the device's token. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushkeeper.core.model import Token

LONGEST = 300
_LONGEST_REASON = 80
# More than can shrink into an excerpt by masking, so that no token is cut in two and shows its half.
_LOOKED_AT = 16_384


def excerpt(words: str | bytes, token: Token | None = None) -> str:
    """The first 300 characters, the token masked; invalid UTF-8 is replaced."""
    text = words[:_LOOKED_AT].decode(errors="replace") if isinstance(words, bytes) else words[:_LOOKED_AT]
    if token is not None and token.value:
        text = text.replace(token.value, token.masked)
    return _printable(text)[:LONGEST]


def reason_word(words: str, token: Token) -> str:
    """A provider's reason as it may be stored and counted: one short word, as a rule."""
    return excerpt(words, token)[:_LONGEST_REASON]


def _printable(text: str) -> str:
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())
