"""Delivery ids: a message for one person, as Customer.io counts, in a text that only this installation can make."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from hmac import compare_digest
from struct import Struct
from uuid import UUID

from pushkeeper.core.model import PersonId, Secret, WorkspaceId

CHARACTERS = 56
_PARTS = Struct(">Q16sQ")  # workspace, message, person
_MAC_BYTES = 10
_BYTES = _PARTS.size + _MAC_BYTES
_UNSIGNED = Struct(">16sQ")
_MOST = 1 << 63  # what PostgreSQL's bigint does not hold any more
_UUID7 = 7
_LAST_DATE = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp() * 1000).to_bytes(6, "big")


@dataclass(frozen=True, slots=True)
class DeliveryId:
    """A message for one person of a workspace; `text` is what clients, phones and webhooks know it by."""

    workspace_id: WorkspaceId
    message_id: UUID
    person_id: PersonId
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class UnsignedId:
    """A delivery ID of release 0.1. It is not signed: anybody who knows one can construct others."""

    message_id: UUID
    person_id: PersonId


class DeliveryIds:
    """Makes the delivery ids of an installation, and reads those that it made; neither takes a row or a look-up.

    An id is 56 characters of URL-safe base64, without padding: 8 bytes of the workspace, 16 of the message's UUIDv7, 8 of the
    person's key, and 10 of BLAKE2b over them, keyed. Why: docs/decisions/0017-delivery-ids.md.
    """

    def __init__(self, key: Secret) -> None:
        self._keyed = blake2b(digest_size=_MAC_BYTES, key=key.value, person=b"delivery id")

    def of(self, workspace: WorkspaceId, message_id: UUID, person: PersonId) -> DeliveryId:
        """The id of a message for a person."""
        return DeliveryId(workspace, message_id, person, self.text(workspace, message_id, person))

    def text(self, workspace: WorkspaceId, message_id: UUID, person: PersonId) -> str:
        """The text of it alone: each push takes one."""
        said = _PARTS.pack(workspace, message_id.bytes, person)
        return urlsafe_b64encode(said + self._mac(said)).decode()

    def read(self, text: str) -> DeliveryId | None:
        """What an id of this installation says; None of any other text."""
        raw = _decoded(text, _BYTES)
        if raw is None or not compare_digest(self._mac(raw[: _PARTS.size]), raw[_PARTS.size :]):
            return None
        workspace, message, person = _PARTS.unpack(raw[: _PARTS.size])
        return DeliveryId(WorkspaceId(workspace), UUID(bytes=message), PersonId(person), text)

    def read_of(self, workspace: WorkspaceId, text: str) -> DeliveryId | None:
        """The delivery of an ID of any release, for a caller with a key of this workspace."""
        found = self.read(text)
        if found is not None:
            return found if found.workspace_id == workspace else None
        former = read_unsigned(text)
        return None if former is None else self.of(workspace, former.message_id, former.person_id)

    def _mac(self, said: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(said)
        return keyed.digest()


def read_unsigned(text: str) -> UnsignedId | None:
    """What an id of release 0.1 says: 24 bytes of the message's UUIDv7 and the person's key. None of any other text."""
    raw = _decoded(text, _UNSIGNED.size)
    if raw is None:
        return None
    message, person = _UNSIGNED.unpack(raw)
    found = UnsignedId(UUID(bytes=message), PersonId(person))
    # Not every 48-bit time is a date.
    is_ours = person < _MOST and found.message_id.version == _UUID7 and message[:6] <= _LAST_DATE
    return found if is_ours else None


def _decoded(text: str, size: int) -> bytes | None:
    """So many bytes of URL-safe base64, written the one way that there is."""
    try:
        raw = urlsafe_b64decode(text)
    except ValueError:  # not ASCII, or not padded right
        return None
    # The decoder passes over characters that are not of its alphabet.
    return raw if len(raw) == size and urlsafe_b64encode(raw).decode() == text else None
