"""Broadcasts as responses show them: definition, progress and results."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pushkeeper.services.schemas.base import View
from pushkeeper.services.schemas.broadcasts import Version
from pushkeeper.store.broadcasts.broadcasts import EstimateState

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.services.broadcasts.service import BroadcastStatus
    from pushkeeper.store.broadcasts.broadcasts import Broadcast


class RetryView(View, frozen=True, kw_only=True):
    """Why the last attempt to plan a broadcast failed, and when the next one is."""

    reason: str
    attempts: int
    next_attempt_at: datetime


class EstimateView(View, frozen=True, kw_only=True):
    """What to expect of a broadcast: pending, done with its figures, or failed with the reason."""

    state: EstimateState
    requested_at: datetime
    reason: Annotated[str | None, Meta(description="Why it failed, or the last attempt did.")]
    figures: dict[str, Any] | None

    @classmethod
    def of(cls, broadcast: Broadcast) -> Self | None:
        """Of a broadcast; None where no estimate was requested."""
        estimate = broadcast.estimate
        if estimate is None:
            return None
        done = estimate.state is EstimateState.DONE
        return cls(
            state=estimate.state,
            requested_at=estimate.asked_at,
            reason=estimate.reason,
            figures=broadcast.preflight if done else None,
        )


class BroadcastView(View, frozen=True, kw_only=True):
    """A broadcast: what it says, to whom, when, and how it stands; by itself, also how far it has come."""

    id: int
    version: Annotated[Version, Meta(description="One more after each change of the draft.")]
    message_id: Annotated[
        str | None, Meta(description="Of what is sent; null until it begins, then always the same.")
    ]
    name: str
    state: Literal[
        "draft", "scheduled", "fetching", "sending", "paused", "sent", "stopped", "cancelled", "failed"
    ]
    failure: str | None
    retry: RetryView | None
    template: int | None
    content: dict[str, Any]
    data: dict[str, Any]
    audience: dict[str, Any] | None
    named: dict[str, Any] | None
    schedule: dict[str, Any]
    per_second: float | None
    send_to_unsubscribed: bool
    skip_without_permission: bool
    one_per_phone: bool
    dry_run: bool
    idempotency_key: str | None
    created_at: datetime
    due_at: datetime | None
    started_at: datetime | None
    planned_at: datetime | None
    paused_at: datetime | None
    cancelled_at: datetime | None
    expires_at: datetime | None
    left_out: dict[str, Any] | None
    preflight: dict[str, Any] | None
    estimate: EstimateView | None
    progress: dict[str, Any] | UnsetType = UNSET
    endings: dict[str, int] | UnsetType = UNSET
    results: list[dict[str, Any]] | UnsetType = UNSET
    waiting: list[dict[str, Any]] | UnsetType = UNSET
    compared: dict[str, Any] | UnsetType | None = UNSET

    @classmethod
    def of(cls, broadcast: Broadcast) -> Self:
        wording = broadcast.wording
        return cls(
            id=broadcast.broadcast_id,
            version=broadcast.version,
            message_id=None if broadcast.message_id is None else str(broadcast.message_id),
            name=broadcast.name,
            state=broadcast.shown_state,  # type: ignore[arg-type]  # the words of its docstring
            failure=broadcast.failure or broadcast.stop_reason,
            retry=None
            if broadcast.last_error is None
            else RetryView(
                reason=broadcast.last_error,
                attempts=broadcast.attempts,
                next_attempt_at=broadcast.next_attempt_at,
            ),
            template=broadcast.template_id,
            content=msgspec.to_builtins(broadcast.content),
            data=wording.data if wording else {},
            audience=None
            if broadcast.audience is None
            else {"filter": broadcast.audience, "unit": broadcast.unit},
            named=_named(broadcast),
            schedule=msgspec.to_builtins(broadcast.schedule),
            per_second=broadcast.per_s,
            send_to_unsubscribed=broadcast.send_to_unsubscribed,
            skip_without_permission=broadcast.skip_without_permission,
            one_per_phone=broadcast.one_per_phone,
            dry_run=broadcast.dry_run,
            idempotency_key=broadcast.once,
            created_at=broadcast.created_at,
            due_at=broadcast.pass_at,
            started_at=broadcast.started_at,
            planned_at=broadcast.planned_at,
            paused_at=broadcast.paused_at,
            cancelled_at=broadcast.cancelled_at,
            expires_at=None if broadcast.started_at is None else broadcast.expires_at,
            left_out=None if broadcast.preflight is None else broadcast.preflight["no_content"],
            preflight=broadcast.preflight,
            estimate=EstimateView.of(broadcast),
        )

    @classmethod
    def of_standing(cls, standing: BroadcastStatus) -> Self:
        """With how far it has come, what came of it, and whether that is what was expected."""
        endings = Counter[str]()
        for tally in standing.tallies:
            endings[tally.ending] += tally.pushes
        return msgspec.structs.replace(
            cls.of(standing.broadcast),
            progress=msgspec.to_builtins(standing.progress),
            endings=dict(endings),
            results=msgspec.to_builtins(list(standing.tallies)),
            waiting=msgspec.to_builtins(list(standing.waiting)),
            compared=standing.compared,
        )


class OneBroadcastView(View, frozen=True, kw_only=True):
    """One broadcast."""

    broadcast: BroadcastView


class OneEstimateView(View, frozen=True, kw_only=True):
    """The estimate of a broadcast."""

    estimate: EstimateView | None


class PreflightEstimateView(OneEstimateView, frozen=True, kw_only=True):
    """The estimate of a broadcast, and its figures by their former name."""

    preflight: dict[str, Any] | None


class BroadcastPageView(View, frozen=True, kw_only=True):
    """A page of broadcasts, newest first."""

    broadcasts: list[BroadcastView]
    next: str | None


def _named(broadcast: Broadcast) -> dict[str, Any] | None:
    if broadcast.device_ids is not None:
        return {"devices": len(broadcast.device_ids)}
    return {"people": True} if broadcast.listed else None
