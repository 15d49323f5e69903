"""Broadcasts as responses show them: definition, progress and results."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pushkeeper.core.broadcasts.results import Rates, Status
from pushkeeper.core.model import Platform
from pushkeeper.services.schemas.base import Request, Start, View
from pushkeeper.services.schemas.broadcasts import Version
from pushkeeper.services.schemas.devices import DeviceView
from pushkeeper.services.schemas.templates import ContentView
from pushkeeper.store.broadcasts.broadcasts import EstimateState

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.core.broadcasts.results import Results
    from pushkeeper.services.broadcasts.results import BroadcastSummary
    from pushkeeper.services.broadcasts.service import BroadcastStatus
    from pushkeeper.services.messages.preview import PlatformPreview
    from pushkeeper.store.broadcasts.broadcasts import Broadcast


class RetryView(View, frozen=True, kw_only=True):
    """Why the last attempt to plan a broadcast failed, and when the next one is."""

    reason: str
    attempts: int
    next_attempt_at: datetime


class EstimateView(View, frozen=True, kw_only=True):
    """The estimate of a broadcast: pending, done with its figures, or failed with the reason."""

    state: EstimateState
    requested_at: datetime
    reason: Annotated[str | None, Meta(description="Why it, or its last attempt, failed.")]
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


class ResultsView(View, frozen=True, kw_only=True):
    """The counts of a broadcast's pushes, one per device, and their rates.

    An app on iOS reports `delivered` only with a notification service extension, so that it is a lower bound there.
    """

    accepted: int
    bounced: int
    failed: Annotated[int, Meta(description="Failed, expired or unknown.")]
    skipped: int
    delivered: int
    opened: int
    clicked: int
    converted: int
    rates: Annotated[
        Rates,
        Meta(
            description="Shares from 0 to 1: accepted, bounced and failed of the attempted pushes, skipped of all processed "
            "pushes, the others of the accepted pushes; null if that is zero."
        ),
    ]

    @classmethod
    def of(cls, results: Results) -> Self:
        return cls.from_attributes(results, failed=results.not_sent)


class BroadcastView(View, frozen=True, kw_only=True):
    """A broadcast: content, audience, schedule and state; a single broadcast also has its progress."""

    id: int
    version: Annotated[Version, Meta(description="Incremented by each change of the draft.")]
    message_id: Annotated[
        str | None, Meta(description="The ID of the sent message; null until it starts, then constant.")
    ]
    name: str
    state: Literal[
        "draft", "scheduled", "fetching", "sending", "paused", "sent", "stopped", "cancelled", "failed"
    ]
    status: Annotated[
        Status,
        Meta(
            description="The state with its results: `sent` without failed pushes, else `sent_with_errors`, "
            "`no_recipients` or `failed`."
        ),
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
    audience_devices: Annotated[
        int, Meta(description="The number of devices in the audience: until all are planned, the estimate's.")
    ]
    summary: ResultsView
    progress: dict[str, Any] | UnsetType = UNSET
    endings: dict[str, int] | UnsetType = UNSET
    results: list[dict[str, Any]] | UnsetType = UNSET
    waiting: list[dict[str, Any]] | UnsetType = UNSET
    compared: dict[str, Any] | UnsetType | None = UNSET
    platforms: (
        Annotated[
            dict[str, ResultsView],
            Meta(description="The same by platform; empty name: reported without a device token."),
        ]
        | UnsetType
    ) = UNSET

    @classmethod
    def of(cls, summary: BroadcastSummary) -> Self:
        broadcast = summary.broadcast
        wording = broadcast.wording
        return cls.from_attributes(
            broadcast,
            id=broadcast.broadcast_id,
            message_id=None if broadcast.message_id is None else str(broadcast.message_id),
            state=broadcast.shown_state,
            status=summary.status,
            audience_devices=summary.devices,
            summary=ResultsView.of(summary.results),
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
            idempotency_key=broadcast.once,
            due_at=broadcast.pass_at,
            expires_at=None if broadcast.started_at is None else broadcast.expires_at,
            left_out=None if broadcast.preflight is None else broadcast.preflight["no_content"],
            estimate=EstimateView.of(broadcast),
        )

    @classmethod
    def of_standing(cls, standing: BroadcastStatus) -> Self:
        """With progress, results, and the comparison with the estimate."""
        endings = Counter[str]()
        for tally in standing.tallies:
            endings[tally.ending] += tally.pushes
        return msgspec.structs.replace(
            cls.of(standing.summary),
            platforms={name: ResultsView.of(one) for name, one in standing.summary.platforms.items()},
            progress=msgspec.to_builtins(standing.progress),
            endings=dict(endings),
            results=msgspec.to_builtins(list(standing.tallies)),
            waiting=msgspec.to_builtins(list(standing.waiting)),
            compared=standing.compared,
        )


class MinuteView(View, frozen=True, kw_only=True):
    """How many pushes of a broadcast ended in a way in one minute."""

    minute: datetime
    ending: str
    pushes: int


class MinuteListView(View, frozen=True, kw_only=True):
    """A broadcast, minute by minute."""

    minutes: list[MinuteView]


class PlatformPreviewView(View, frozen=True, kw_only=True):
    """What a broadcast would show on a platform to a device of its audience; or the problem."""

    platform: Platform
    to: DeviceView | None
    content: ContentView | None
    problem: str | None

    @classmethod
    def of(cls, said: PlatformPreview) -> Self:
        return cls(
            platform=said.platform,
            to=None if said.to is None else DeviceView.of(said.to.device),
            content=None if said.content is None else ContentView.of_content(said.content),
            problem=said.problem or None,
        )


class BroadcastPreviewView(View, frozen=True, kw_only=True):
    """What a broadcast would show, by platform."""

    preview: list[PlatformPreviewView]


class UnrenderableQuery(Request, frozen=True, kw_only=True):
    """A page of devices that a broadcast would fail for."""

    start: Start | None = None


class UnrenderableView(View, frozen=True, kw_only=True):
    """A device that a broadcast would fail for because its content cannot be rendered, its person, and the problem."""

    device: Annotated[str, Meta(description="The key of the device.")]
    platform: Platform
    cio_id: str
    id: str | None
    email: str | None
    problem: str


class UnrenderablePageView(View, frozen=True, kw_only=True):
    """A page of devices that a broadcast would fail for; it can be empty although there are more pages."""

    devices: list[UnrenderableView]
    next: str | None


class OneBroadcastView(View, frozen=True, kw_only=True):
    """One broadcast."""

    broadcast: BroadcastView


class OneEstimateView(View, frozen=True, kw_only=True):
    """The estimate of a broadcast."""

    estimate: EstimateView | None


class PreflightEstimateView(OneEstimateView, frozen=True, kw_only=True):
    """The estimate of a broadcast, and its figures under their previous name."""

    preflight: dict[str, Any] | None


class BroadcastPageView(View, frozen=True, kw_only=True):
    """A page of broadcasts, newest first."""

    broadcasts: list[BroadcastView]
    next: str | None


def _named(broadcast: Broadcast) -> dict[str, Any] | None:
    if broadcast.device_ids is not None:
        return {"devices": len(broadcast.device_ids)}
    return {"people": True} if broadcast.listed else None
