"""What is sent back: JSON, with the id by which the request can be found in the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from starlette.types import Send

    from pushkeeper.core.delivery.delivery_id import DeliveryId


_JSON = b"application/json; charset=utf-8"
# What people and devices are called is in it: no cache between is to keep it, and no browser to take it for something else.
_GUARDS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body, JSON as a rule, and what headers there are beside those that every answer has.

    `delivery_id` is for the log, where the call is about one.
    """

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = _JSON
    delivery_id: DeliveryId | None = None

    async def send(self, send: Send, request_id: str) -> None:
        """Send it whole."""
        length, found_by = str(len(self.body)).encode(), request_id.encode()
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", length),
            (b"x-request-id", found_by),
            *_GUARDS,
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def empty(delivery_id: DeliveryId | None = None) -> Answer:
    """Done, and nothing to say."""
    return Answer(b"", 204, delivery_id=delivery_id)


def about(delivery_id: DeliveryId, value: object) -> Answer:
    """An answer of this value, about one delivery."""
    return Answer(msgspec.json.encode(value), delivery_id=delivery_id)


def of_json(value: object, status: int = 200, *headers: tuple[bytes, bytes]) -> Answer:
    """An answer of this value; times are ISO 8601, in UTC."""
    return Answer(msgspec.json.encode(value), status, headers)
