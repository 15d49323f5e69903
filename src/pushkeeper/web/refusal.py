"""What the server itself answers: the request is not taken, and the connection is closed."""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus

import msgspec


class Refusal(Enum):
    """A status, and why; its name in lower case is the label of the metric."""

    MALFORMED = (400, "the request is not well-formed HTTP/1.1")
    HEAD_TOO_SLOW = (408, "the request's headers took too long to arrive")
    BODY_TOO_SLOW = (408, "the request's body came too slowly")
    URI_TOO_LONG = (414, "the request line is too long")
    HEAD_TOO_LARGE = (431, "the request's headers are too many or too long")
    PIPELINED = (503, "too many requests wait on this connection: send fewer before the answers arrive")
    REQUESTS = (503, "too many requests are being answered: try again in a second")
    MEMORY = (503, "too much is being received at this moment: try again in a second")
    CONNECTIONS = (503, "too many connections are open: try again in a second")

    @property
    def status(self) -> int:
        return self.value[0]

    @property
    def response(self) -> bytes:
        """The whole response, as sent."""
        status = HTTPStatus(self.status)
        body = msgspec.json.encode({"errors": [{"detail": self.value[1], "status": str(self.status)}]})
        retry = ["retry-after: 1"] if status is HTTPStatus.SERVICE_UNAVAILABLE else []
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *retry,
            "connection: close",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


class Refused(Exception):
    """Stops the parser in the middle of what it reads."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal
