"""Pausing routes."""

from __future__ import annotations

from pushkeeper.services.schemas.base import Request


class PauseRequest(Request, frozen=True, kw_only=True):
    """Why a route is paused."""

    reason: str | None = None
