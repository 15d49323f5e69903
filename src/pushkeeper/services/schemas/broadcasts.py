"""Broadcasts, as they are listed."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pushkeeper.services.schemas.base import Request, Start

_LARGEST_PAGE = 100


class BroadcastsQuery(Request, frozen=True, kw_only=True):
    """A page of broadcasts."""

    start: Start | None = None
    limit: Annotated[int, Meta(ge=1, le=_LARGEST_PAGE, description="The most items of a page.")] = 20
