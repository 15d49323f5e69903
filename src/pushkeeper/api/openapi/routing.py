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
        description="The state of every route, with its queued pushes and held refusals.",
        answer=RouteListView,
    ),
    ("POST", f"{_ROUTE}/pause"): Operation(
        id="pauseRoute",
        summary="Pause a route",
        description="Sends nothing on a route until it is resumed. Pushes wait.",
        body=PauseRequest,
        body_is_optional=True,
        answer=PausedRouteView,
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/resume"): Operation(
        id="resumeRoute",
        summary="Resume a route",
        description="Sends on a route again.",
        answer=ResumedRouteView,
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/apply"): Operation(
        id="applyHeldRefusals",
        summary="Apply held refusals",
        description="Accepts the refusals that are held on a route: their devices bounce.",
        answer=AppliedRefusalsView,
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/discard"): Operation(
        id="discardHeldRefusals",
        summary="Discard held refusals",
        description="Discards the refusals that are held on a route: their pushes are sent again.",
        answer=DiscardedRefusalsView,
        refused=(404, 409),
    ),
    ("GET", "/api/v1/stats/pushes"): Operation(
        id="countPushes",
        summary="Count answers of the push services",
        description="What the push services answered in the last days.",
        query=DaysQuery,
        answer=PushCountsView,
    ),
}

JOBS: Operations = {
    ("GET", "/api/v1/jobs"): Operation(
        id="listJobs",
        summary="List jobs",
        description="Jobs that are not done: waiting, running, postponed after a failed attempt, or failed permanently, with the reason.",
        answer=JobListView,
    ),
    ("POST", "/api/v1/jobs/{kind}/{job}/retry"): Operation(
        id="retryJob",
        summary="Retry a job",
        description="Runs a job's next attempt now, and resets its count of attempts.",
        answer=None,
        status=204,
        refused=(404,),
    ),
    ("POST", "/api/v1/jobs/{kind}/{job}/cancel"): Operation(
        id="cancelJob",
        summary="Cancel a job",
        description="Cancels a job that is not done.",
        answer=None,
        status=204,
        refused=(404, 409),
    ),
}
