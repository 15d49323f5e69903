"""Operations on all sending of a workspace."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.services.schemas.sending import OneSendingView, PauseSendingRequest

SENDING: Operations = {
    ("GET", "/api/v1/sending"): Operation(
        id="getSending",
        summary="Get the sending state",
        description="Whether the workspace sends; if it is paused, since when, why and by whom.",
        answer=OneSendingView,
    ),
    ("POST", "/api/v1/sending/pause"): Operation(
        id="pauseSending",
        summary="Pause all sending",
        description=(
            "Pauses all sending of the workspace within a second. Pushes in flight still arrive; all others stay queued "
            "until you resume, or expire."
        ),
        body=PauseSendingRequest,
        body_is_optional=True,
        answer=OneSendingView,
        refused=(409,),
    ),
    ("POST", "/api/v1/sending/resume"): Operation(
        id="resumeSending",
        summary="Resume all sending",
        description="Resumes sending, including the queued pushes.",
        answer=OneSendingView,
        refused=(409,),
    ),
}
