"""Erasures of people."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from pushkeeper.services.schemas.base import Request, View
from pushkeeper.store.people.erasures import RequestedBy

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.store.people.erasures import Receipt


class ErasuresQuery(Request, frozen=True, kw_only=True):
    """Receipts of everybody, or of people who had an identifier."""

    identifier: Annotated[str, Meta(description="An identifier that the person had.")] | None = None


class ErasureView(View, frozen=True, kw_only=True):
    """The receipt of an erasure; it doesn't identify the person."""

    id: int
    status: Literal["pending", "done"]
    asked_at: datetime
    asked_by: RequestedBy
    request_id: str
    done_at: datetime | None
    counts: dict[str, int]
    identifiers: Annotated[list[str], Meta(description="Keyed hashes of the person's identifiers.")]
    failure: str | None

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        return cls.from_attributes(
            receipt,
            id=receipt.erasure_id,
            status="pending" if receipt.done_at is None else "done",
            identifiers=[one.hex() for one in receipt.hashes],
        )


class OneErasureView(View, frozen=True, kw_only=True):
    """One receipt."""

    erasure: ErasureView


class BegunErasureView(OneErasureView, frozen=True, kw_only=True):
    """A started erasure, and the address of its receipt."""

    receipt: str


class ErasureListView(View, frozen=True, kw_only=True):
    """Receipts, newest first."""

    erasures: list[ErasureView]
