"""Erasures of people."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pushkeeper.services.schemas.base import Request


class ErasuresQuery(Request, frozen=True, kw_only=True):
    """Receipts of everybody, or of whoever had an identifier."""

    identifier: Annotated[str, Meta(description="An identifier that the person had.")] | None = None
