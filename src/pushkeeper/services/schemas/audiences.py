"""Audiences: filters that are asked about, and saved ones."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.services import validation
from pushkeeper.services.schemas.base import MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, Filter, Name, Request
from pushkeeper.store.people.segments import Draft

MAX_WITHIN_MS = 30_000


class AudienceRequest(Request, frozen=True, kw_only=True):
    """A filter, and what is counted."""

    filter: Filter
    unit: Unit = Unit.DEVICE


class CountRequest(AudienceRequest, frozen=True, kw_only=True):
    """A filter whose count may be an estimate, where counting takes longer than so many milliseconds."""

    within_ms: Annotated[int, Meta(ge=1, le=MAX_WITHIN_MS)] | None = None


class NewAudience(Request, frozen=True, kw_only=True):
    """An audience as it is saved."""

    name: Name
    filter: Filter
    description: str | None = None
    unit: Unit = Unit.DEVICE

    def draft(self) -> Draft:
        """The same, as it is stored.

        Raises:
            BadRequest: a text is blank or too long.
        """
        return Draft(
            name=validation.text(self.name, "name", max_bytes=MAX_NAME_BYTES),
            description=validation.optional_text(
                self.description, "description", max_bytes=MAX_DESCRIPTION_BYTES
            )
            or "",
            filter=self.filter,
            unit=self.unit,
        )
