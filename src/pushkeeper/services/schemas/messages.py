"""Messages: the pushes of one to many devices, and drafts that are sent."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from pushkeeper.core.identity import cio_id
from pushkeeper.services.schemas.audiences import MemberView
from pushkeeper.services.schemas.base import PageQuery, View

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.services.listings import ShownDelivery


class PushesQuery(PageQuery, frozen=True, kw_only=True):
    """The pushes of a message."""

    ending: (
        Annotated[
            Literal["accepted", "bounced", "failed", "expired", "unknown", "skipped"],
            Meta(description="Only pushes with this outcome."),
        ]
        | None
    ) = None


class MessagePushView(View, frozen=True, kw_only=True):
    """A push of a message to one device, with its outcome."""

    delivery_id: str
    device: str
    platform: str | None
    person: MemberView
    ending: str
    reason: str
    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    settled_at: datetime

    @classmethod
    def of(cls, one: ShownDelivery) -> Self:
        return cls.from_attributes(
            one,
            delivery_id=str(one.delivery_id),
            device=one.device_id.hex(),
            person=MemberView(id=one.id, email=one.email, cio_id=cio_id(one.person_id)),
        )


class MessagePushPageView(View, frozen=True, kw_only=True):
    """A page of the pushes of a message."""

    pushes: list[MessagePushView]
    next: str | None


class SentDraftView(View, frozen=True, kw_only=True):
    """A draft that is sent."""

    delivery_id: str
