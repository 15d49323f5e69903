"""Operations on broadcasts and their messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.services.schemas.broadcast_view import (
    BroadcastPageView,
    BroadcastPreviewView,
    MinuteListView,
    OneBroadcastView,
    OneEstimateView,
    PreflightEstimateView,
    UnrenderablePageView,
    UnrenderableQuery,
)
from pushkeeper.services.schemas.broadcasts import (
    BroadcastChange,
    BroadcastsQuery,
    NewBroadcast,
    StartRequest,
)
from pushkeeper.services.schemas.messages import MessagePushPageView, PushesQuery, SentDraftView

if TYPE_CHECKING:
    from msgspec import Struct


def _step(step: str, summary: str, description: str, body: type[Struct] | None = None) -> Operations:
    operation = Operation(
        id=f"{step}Broadcast",
        summary=summary,
        description=description,
        body=body,
        body_is_optional=body is not None,
        answer=OneBroadcastView,
        refused=(404, 409),
    )
    return {("POST", f"/api/v1/broadcasts/{{id}}/{step}"): operation}


BROADCASTS: Operations = {
    ("GET", "/api/v1/broadcasts"): Operation(
        id="listBroadcasts",
        summary="List broadcasts",
        description="Broadcasts, newest first, one page at a time.",
        query=BroadcastsQuery,
        answer=BroadcastPageView,
    ),
    ("POST", "/api/v1/broadcasts"): Operation(
        id="createBroadcast",
        summary="Create a broadcast",
        description="Creates a broadcast, a draft unless `start` is true. Its `estimate` is pending at first.",
        body=NewBroadcast,
        status=201,
        answer=OneBroadcastView,
        refused=(403, 404, 409),
    ),
    ("POST", "/api/v1/broadcasts/preview"): Operation(
        id="previewBroadcast",
        summary="Preview a broadcast",
        description="The content of a broadcast on each platform for one member of its audience. Nothing is saved.",
        body=NewBroadcast,
        answer=BroadcastPreviewView,
        refused=(404,),
    ),
    ("GET", "/api/v1/broadcasts/{id}"): Operation(
        id="getBroadcast",
        summary="Get a broadcast",
        description="A broadcast with its progress, estimated completion and results.",
        answer=OneBroadcastView,
        refused=(404,),
    ),
    ("PUT", "/api/v1/broadcasts/{id}"): Operation(
        id="replaceBroadcast",
        summary="Replace a draft",
        description="Replaces a draft, whose `estimate` is pending then. It starts if `start` is true.",
        body=BroadcastChange,
        answer=OneBroadcastView,
        refused=(403, 404, 409),
    ),
    ("GET", "/api/v1/broadcasts/{id}/minutes"): Operation(
        id="listBroadcastMinutes",
        summary="List per-minute outcomes",
        description="Push outcomes of a broadcast, per minute.",
        answer=MinuteListView,
        refused=(404,),
    ),
    ("GET", "/api/v1/broadcasts/{id}/unrenderable"): Operation(
        id="listUnrenderableDevices",
        summary="List devices that the content fails for",
        description="Reachable devices for which the content cannot be rendered now, with their people and the problems. "
        "Each page checks 500 devices, so it can be empty although there is a `next` one.",
        query=UnrenderableQuery,
        answer=UnrenderablePageView,
        refused=(404,),
    ),
    ("POST", "/api/v1/broadcasts/{id}/estimate"): Operation(
        id="estimateBroadcast",
        summary="Refresh the estimate",
        description="Requests another estimate of what to expect of a broadcast that has not begun. A worker makes it: poll "
        "the broadcast until its `estimate` is `done` or `failed`.",
        status=202,
        answer=OneEstimateView,
        refused=(404, 409),
    ),
    ("POST", "/api/v1/broadcasts/{id}/preflight"): Operation(
        id="preflightBroadcast",
        summary="Refresh the estimate (deprecated)",
        description="Same as `estimate`, but responds with the figures of the previous estimate.",
        answer=PreflightEstimateView,
        refused=(404, 409),
    ),
    **_step(
        "start",
        "Start a broadcast",
        "Starts a draft, immediately or at its scheduled time. With `version`, the request fails if the draft has a different version.",
        body=StartRequest,
    ),
    **_step("pause", "Pause a broadcast", "Stops sending until the broadcast is resumed."),
    **_step("resume", "Resume a broadcast", "Continues a paused broadcast."),
    **_step(
        "cancel",
        "Cancel a broadcast",
        "Cancels a broadcast. Devices that were not processed yet are recorded as skipped.",
    ),
    ("GET", "/api/v1/messages/{message}/pushes"): Operation(
        id="listMessagePushes",
        summary="List the pushes of a message",
        description="The pushes of a broadcast message, one page at a time.",
        query=PushesQuery,
        answer=MessagePushPageView,
        refused=(404,),
    ),
    ("DELETE", "/api/v1/drafts/{id}"): Operation(
        id="deleteDraft",
        summary="Discard a drafted delivery",
        description="Discards a transactional message that was queued as a draft.",
        status=204,
        answer=None,
        refused=(404,),
    ),
    ("POST", "/api/v1/drafts/{id}/send"): Operation(
        id="sendDraft",
        summary="Send a drafted delivery",
        description="Sends a transactional message that was queued as a draft.",
        answer=SentDraftView,
        refused=(404,),
    ),
}
