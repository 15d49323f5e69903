"""Keyed hashes of identifiers: all that a receipt keeps about a person; only this installation can compute them."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushkeeper.core.model import Secret, WorkspaceId

HASH_BYTES = 16


class IdentifierHashes:
    """Makes the hashes of an installation; equal identifiers of two workspaces have nothing in common."""

    def __init__(self, key: Secret) -> None:
        self._keyed = blake2b(digest_size=HASH_BYTES, key=key.value, person=b"identifier")

    def of(self, workspace: WorkspaceId, kind: str, key: str) -> bytes:
        """The hash of an identifier, by the key that it is compared by; 16 bytes."""
        keyed = self._keyed.copy()
        keyed.update(workspace.to_bytes(8) + kind.encode() + b"\0" + key.encode("utf-8", "surrogatepass"))
        return keyed.digest()
