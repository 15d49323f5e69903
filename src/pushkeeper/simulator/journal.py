"""The request log: the last requests with their responses, and counts of all."""

from __future__ import annotations

from collections import Counter, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

JOURNAL_SIZE = 20_000  # requests; some 2 to 3 kB each


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One request and its response.

    Attributes:
        at_s: seconds since the epoch.
        provider: `fcm`, `apns`, `apns_sandbox` or `webpush`, whose bodies are decrypted.
        token: the token or other target that was named, "" if none could be read.
        status: the HTTP status, or None when the request was dropped before processing.
        reason: the service's reason (`UNREGISTERED`, `BadDeviceToken`); "" with a success.
    """

    at_s: float
    provider: str
    token: str
    status: int | None
    reason: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def shown(self) -> dict[str, object]:
        """The entry for people and JSON, without the secret that it was authorized by."""
        return {
            "at": datetime.fromtimestamp(self.at_s, UTC),
            "provider": self.provider,
            "token": self.token,
            "status": self.status,
            "reason": self.reason,
            "headers": {
                name.decode("latin-1"): "…" if name == b"authorization" else value.decode("latin-1")
                for name, value in self.headers
            },
            "body": self.body.decode("utf-8", "replace"),
        }


class Journal:
    """The last `size` requests in the order of their arrival, and how many there ever were of each kind.

    Attributes:
        answers: how many, by (provider, status, reason).
        repeats: how many pushes were taken for a token that had taken one before.
    """

    def __init__(self, size: int = JOURNAL_SIZE) -> None:
        self._ring: deque[Entry] = deque(maxlen=size)
        self.answers: Counter[tuple[str, int | None, str]] = Counter()
        self.repeats = 0

    def write(self, entry: Entry) -> None:
        """Keep one request, at the cost of the oldest once the ring is full."""
        self._ring.append(entry)
        self.answers[entry.provider, entry.status, entry.reason] += 1

    def read(self, token: str | None = None) -> Iterator[Entry]:
        """What the ring still holds, oldest first; of one token or of all."""
        return (entry for entry in self._ring if token is None or entry.token == token)

    def clear(self) -> None:
        """Forget everything."""
        self._ring.clear()
        self.answers.clear()
        self.repeats = 0
