"""Secrets at rest: sealed with a key that is not in the database."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from pushkeeper.core.model import Secret
from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

_KEY_BYTES = 32
_NONCE_BYTES = 12


class Vault:
    """Seals and opens secrets with AES-256-GCM; `label` binds a sealed secret to the row it is for."""

    def __init__(self, key: Secret) -> None:
        self._key = key
        self._aead = AESGCM(key.value)

    def key_for(self, purpose: str) -> Secret:
        """A key of its own for what is not sealed but authenticated, derived from the installation's."""
        return Secret(HKDFExpand(hashes.SHA256(), _KEY_BYTES, purpose.encode()).derive(self._key.value))

    def seal(self, secret: Secret, label: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, secret.value, label.encode())

    def open(self, sealed: bytes, label: str) -> Secret:
        """Undo `seal`.

        Raises:
            Misconfigured: it was encrypted with another key, or for another row.
        """
        try:
            opened = self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label.encode())
        except (InvalidTag, ValueError):  # a ValueError: it is too short to hold a nonce
            raise Misconfigured(
                f"secret key: {label} was encrypted with another key; "
                "set PUSHKEEPER_SECRET_KEY (or restore the data folder's secret.key) to the one that was in use"
            ) from None
        return Secret(opened)


def read_key(text: str) -> Secret:
    """The key of `PUSHKEEPER_SECRET_KEY`: 32 bytes in URL-safe base64.

    Raises:
        Misconfigured: it is not that.
    """
    return _read_key(text, "PUSHKEEPER_SECRET_KEY")


def _read_key(text: str, where: str) -> Secret:
    try:
        key = urlsafe_b64decode(text.strip().encode() + b"==")
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise Misconfigured(f"{where}: expected 32 bytes in URL-safe base64")
    return Secret(key)


def key_of_folder(data_dir: Path) -> Secret:
    """The key in the folder's `secret.key` (mode 0600), made on first use.

    Raises:
        Misconfigured: the file cannot be read or written, or holds something else.
    """
    file = data_dir / "secret.key"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # Written aside and linked into place, so that two processes starting at once agree on one key.
        aside = data_dir / f".secret.key.{os.getpid()}"
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(urlsafe_b64encode(os.urandom(_KEY_BYTES)))
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(aside, file)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
        return _read_key(file.read_text(encoding="ascii"), f"data folder: {file}")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"data folder: {file} cannot be used: {error}") from error
