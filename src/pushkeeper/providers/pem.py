"""PEM as people have it: pasted, indented, put on one line, or escaped by JSON, YAML and files of environment variables."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_LINE = 64
# The words of a label may have lost the blanks between them, as all others did.
_BLOCK = re.compile(r"-----BEGIN ?([A-Z0-9 ]+?)-----(.*?)-----END ?\1-----", re.DOTALL)
_LABELS = {
    label.replace(" ", ""): label
    for label in (
        "CERTIFICATE",
        "TRUSTED CERTIFICATE",
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
    )
}


@dataclass(frozen=True, slots=True)
class Block:
    """One certificate or key, with its line breaks where they belong; `pem` may be a secret."""

    label: str
    pem: bytes

    def __repr__(self) -> str:
        """Its kind alone."""
        return f"Block({self.label!r})"


def text_of(data: bytes) -> str:
    """A file's text without a byte order mark, in UTF-8 or, with a mark, UTF-16; what is neither is replaced."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.removeprefix(BOM_UTF8).decode("utf-8", "replace")


def blocks(text: str) -> list[Block]:
    r"""All certificates and keys in a text, in its order.

    Line breaks may be blanks, missing, or a literal `\n`, escaped once or more often.
    """
    text = re.sub(r"\\+[rn]", "\n", text)
    return [Block(_label(match[1]), _repaired(match)) for match in _BLOCK.finditer(text)]


def _label(said: str) -> str:
    return _LABELS.get(said.replace(" ", ""), said)


def _repaired(match: re.Match[str]) -> bytes:
    label, body = _label(match[1]), match[2]
    if ":" in body:  # the headers of the old encryption: nothing of it is ours to move
        return match[0].encode()
    lines = re.findall(f".{{1,{_LINE}}}", re.sub(r"[\s\\\"']", "", body))
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode()


def private_key(found: list[Block], data: bytes, field: str, what: str) -> tuple[bytes, PrivateKeyTypes]:
    """The first private key among blocks, in PEM and read; `what` says what was expected in the field.

    Raises:
        BadRequest: missing, damaged, or with a passphrase; `data` may say why.
    """
    block = next((block for block in found if block.label.endswith("PRIVATE KEY")), None)
    if block is None:
        raise BadRequest(field, f"must be {what}.{_why_none(found, data)}")
    if b"ENCRYPTED" in block.pem:
        remedy = "`openssl pkey -in FILE -out NEW-FILE` takes it off"
        raise BadRequest(field, f"the private key has a passphrase; {remedy}.")
    try:
        return block.pem, load_pem_private_key(block.pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadRequest(field, "the private key is damaged or of an unknown kind.") from None


def _why_none(found: list[Block], data: bytes) -> str:
    if any(block.label.endswith("PUBLIC KEY") for block in found):
        return " This is a public key."
    try:
        load_der_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return " It holds no private key." if found else ""
    return " This is DER; `openssl pkey -inform DER -in FILE -out NEW-FILE` makes PEM of it."
