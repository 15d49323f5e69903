"""Explain requests: one person or device, and one message or none."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pushkeeper.services.schemas.base import Request


class ExplainQuery(Request, frozen=True, kw_only=True):
    """A person, a device or both, and a message."""

    person: Annotated[str, Meta(description="An ID, an email, or `cio_` followed by a cio_id.")] | None = None
    device: Annotated[str, Meta(description="A token or installation ID.")] | None = None
    message: Annotated[str, Meta(description="A delivery ID, message UUID or broadcast number.")] | None = (
        None
    )
