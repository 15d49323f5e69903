"""Sending: whether a workspace sends, and pausing it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from pushkeeper.core.actor import ActorKind
from pushkeeper.services.schemas.base import Request, View
from pushkeeper.services.schemas.workspace import ActorView
from pushkeeper.services.sending import MAX_REASON_CHARACTERS

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.services.sending import SendingState


class PauseSendingRequest(Request, frozen=True, kw_only=True):
    """Why sending is paused."""

    reason: Annotated[
        str, Meta(max_length=MAX_REASON_CHARACTERS, description="Shown on every page of the dashboard.")
    ] = ""


class SendingView(View, frozen=True, kw_only=True):
    """Whether a workspace sends; while it is paused, since when, who paused it and why."""

    paused: bool
    paused_at: datetime | None
    paused_by: ActorView | None
    reason: str | None
    queued: Annotated[int, Meta(description="The number of devices that pushes are queued for.")]

    @classmethod
    def of(cls, state: SendingState) -> Self:
        pause = state.pause
        if pause is None:
            return cls(paused=False, paused_at=None, paused_by=None, reason=None, queued=state.queued)
        name = None if pause.actor is ActorKind.USER else pause.actor_name
        return cls(
            paused=True,
            paused_at=pause.paused_at,
            paused_by=ActorView(kind=pause.actor, name=name),
            reason=pause.reason,
            queued=state.queued,
        )


class OneSendingView(View, frozen=True, kw_only=True):
    """Whether a workspace sends."""

    sending: SendingView
