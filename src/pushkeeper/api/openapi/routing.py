"""Operations on routes and jobs, for operators."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.services.schemas.devices import DaysQuery, PushCountsView
from pushkeeper.services.schemas.jobs import JobListView
from pushkeeper.services.schemas.routes import (
    AppliedRefusalsView,
    DiscardedRefusalsView,
    PausedRouteView,
    PauseRequest,
    ResumedRouteView,
    RouteListView,
)

_ROUTE = "/api/v1/routes/{route}"

ROUTES: Operations = {
    ("GET", "/api/v1/routes"): Operation(
        id="listRoutes",
        summary="List routes",
        description="All routes with their state, queued pushes and rejections on hold.",
        answer=RouteListView,
    ),
    ("POST", f"{_ROUTE}/pause"): Operation(
        id="pauseRoute",
        summary="Pause a route",
        description="Pauses a route. Its pushes are queued until it is resumed.",
        body=PauseRequest,
        body_is_optional=True,
        answer=PausedRouteView,
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/resume"): Operation(
        id="resumeRoute",
        summary="Resume a route",
        description="Resumes a route, including its queued pushes.",
        answer=ResumedRouteView,
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/apply"): Operation(
        id="applyHeldRefusals",
        summary="Apply held rejections",
        description="Applies the rejections on hold: their devices are marked as bounced.",
        answer=AppliedRefusalsView,
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/discard"): Operation(
        id="discardHeldRefusals",
        summary="Discard held rejections and resend",
        description="Discards the rejections on hold and resends their pushes.",
        answer=DiscardedRefusalsView,
        refused=(404, 409),
    ),
    ("GET", "/api/v1/stats/pushes"): Operation(
        id="countPushes",
        summary="Count provider responses",
        description="Provider responses of the last days.",
        query=DaysQuery,
        answer=PushCountsView,
    ),
}

JOBS: Operations = {
    ("GET", "/api/v1/jobs"): Operation(
        id="listJobs",
        summary="List jobs",
        description="Unfinished jobs: waiting, running, put_off (retried after a failure) or failed, with the reason.",
        answer=JobListView,
    ),
    ("POST", "/api/v1/jobs/{kind}/{job}/retry"): Operation(
        id="retryJob",
        summary="Retry a job",
        description="Retries a job now and resets its attempts.",
        answer=None,
        status=204,
        refused=(404,),
    ),
    ("POST", "/api/v1/jobs/{kind}/{job}/cancel"): Operation(
        id="cancelJob",
        summary="Cancel a job",
        description="Cancels an unfinished job.",
        answer=None,
        status=204,
        refused=(404, 409),
    ),
}
