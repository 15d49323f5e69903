"""Responses while the service is starting: it is alive, and all other calls should be retried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.web import response
from pushkeeper.web.endpoint import meters_of
from pushkeeper.web.request import request_id_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from pushkeeper.web.response import Response

RETRY_AFTER_S = 2
# A kept connection would be cut off when the service takes over.
_CLOSE = (b"connection", b"close")
_RETRY_AFTER = (b"retry-after", b"%d" % RETRY_AFTER_S)


class Starting:
    """An ASGI application that needs no database.

    Attributes:
        reason: what the start waits for, without an address: it is shown to everybody.
    """

    def __init__(self) -> None:
        self.reason = "the service is starting"

    def wait_for(self, reason: str) -> None:
        """Set what the start waits for."""
        self.reason = reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        said = self._answer(scope["path"])
        await said.send(send, request_id_of(scope))
        # Not logged: every client tries again and again.
        meters_of("none", "", "other", said.status)[0].value += 1

    def _answer(self, path: str) -> Response:
        if path == "/healthz":
            return response.of_json({"status": "ok"}, 200, _CLOSE)
        if path == "/readyz":
            return response.of_json(
                {"status": "unavailable", "reason": self.reason}, 503, _RETRY_AFTER, _CLOSE
            )
        return response.of_json(
            {"errors": [{"detail": f"the service is not ready: {self.reason}", "status": "503"}]},
            503,
            _RETRY_AFTER,
            _CLOSE,
        )
