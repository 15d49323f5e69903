"""Readiness, for load balancers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.web import response

if TYPE_CHECKING:
    from pushkeeper.services.readiness import Readiness
    from pushkeeper.web.response import Response


_RETRY_AFTER = (b"retry-after", b"2")


class Ready:
    """Whether a call that writes would be answered now."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def __call__(self) -> Response:
        if reason := await self._readiness.in_the_way():
            return response.of_json({"status": "unavailable", "reason": reason}, 503, _RETRY_AFTER)
        return response.of_json({"status": "ok"})


async def alive() -> Response:
    """The process answers."""
    return response.of_json({"status": "ok"})
