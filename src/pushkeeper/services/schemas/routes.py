"""Routes: their status, and pausing them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pushkeeper.services.schemas.base import Request, View

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.services.routes import RouteRecord


class PauseRequest(Request, frozen=True, kw_only=True):
    """Why a route is paused."""

    reason: str | None = None


class HealthView(View, frozen=True, kw_only=True):
    """Provider responses of the last 24 hours."""

    accepted: int
    ambiguous: int
    definite: int
    other: int


class AlertView(View, frozen=True, kw_only=True):
    """An alert."""

    reason: str
    alert: str
    detail: str
    times: int
    first_at: datetime
    last_at: datetime


class RouteView(View, frozen=True, kw_only=True):
    """A route: its state, results of the last 24 hours, queue and rejections on hold."""

    route: str
    state: str
    accepted_at: datetime | None
    paused_at: datetime | None
    pause_kind: str | None
    pause_reason: str | None
    probe_at: datetime | None
    throttled_until: datetime | None
    last_24_hours: HealthView
    waiting: int
    held: int
    alerts: list[AlertView]

    @classmethod
    def of(cls, facts: RouteRecord) -> Self:
        route, health = facts.route, facts.health
        return cls.from_attributes(
            route,
            route=route.name,
            state=facts.state,
            last_24_hours=HealthView.from_attributes(health),
            waiting=health.waiting,
            held=health.held_verdicts,
            alerts=[AlertView.from_attributes(one) for one in facts.alerts],
        )


class RouteListView(View, frozen=True, kw_only=True):
    """All routes."""

    routes: list[RouteView]


class PausedRouteView(View, frozen=True, kw_only=True):
    """A route that is paused."""

    route: str
    paused: bool = True


class ResumedRouteView(View, frozen=True, kw_only=True):
    """A route that sends again, and how many pushes it released."""

    route: str
    released: int


class AppliedRefusalsView(View, frozen=True, kw_only=True):
    """A route, and how many of its held rejections were applied."""

    route: str
    applied: int


class DiscardedRefusalsView(View, frozen=True, kw_only=True):
    """A route, and how many of its held rejections were discarded."""

    route: str
    discarded: int
