"""One lane: a route as this worker sees it, and what it shares with the others of its credential."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pushkeeper.core.delivery import rate_limit
from pushkeeper.core.delivery.rate_limit import Breaker, Bucket, RetryBudget, Tally
from pushkeeper.core.delivery.refusal_guard import RefusalGuard, Result
from pushkeeper.core.model import Provider
from pushkeeper.store.delivery.routes import PauseKind

if TYPE_CHECKING:
    from pushkeeper.core.model import DeviceId
    from pushkeeper.store.delivery.routes import Route

COLD_AFTER_S = 600.0


@dataclass(slots=True)
class Quota:
    """What the routes of one credential share: a project's rate, and the retry budget."""

    bucket: Bucket = field(default_factory=Bucket)
    budget: RetryBudget = field(default_factory=RetryBudget)
    sent: Tally = field(default_factory=lambda: Tally(5.0))
    warm_since: float = 0.0
    sent_at: float = float("-inf")

    def note_sent(self, now: float) -> None:
        if now - self.sent_at > COLD_AFTER_S:
            self.warm_since = now
        self.sent_at = now
        self.sent.add(1, now)

    def warm_for_s(self, now: float) -> float:
        return 0.0 if now - self.sent_at > COLD_AFTER_S else now - self.warm_since

    def per_s(self, now: float) -> float:
        """The recent rate per second."""
        return self.sent.total(now) / 5.0


@dataclass(slots=True)
class Look:
    """What a lane lets through at one moment: many pushes share it."""

    at: float
    opens_in_s: float
    most_unsettled: int
    bounded: bool
    one_alone: bool


@dataclass(slots=True)
class Lane:
    """One route as this worker sees it."""

    route: Route
    quota: Quota
    breaker: Breaker
    accepted: bool
    unsettled: int = 0
    closed_until: float = 0.0  # forestalls a pause that is about to be written
    guard: RefusalGuard = field(default_factory=RefusalGuard)
    tripped: bool = False  # by this worker's own guard, until the pause that follows is lifted
    noticed: bool = False
    answered: Tally = field(default_factory=lambda: Tally(1.0))
    looked: Look | None = None
    throttled: dict[DeviceId, float] = field(default_factory=dict)
    doubts: dict[DeviceId, float] = field(default_factory=dict)
    results: dict[Result, int] = field(default_factory=dict)

    @property
    def guarded(self) -> bool:
        """Whether ambiguous refusals are not believed now."""
        return self.tripped or self.route.pause_kind is PauseKind.GUARD

    def per_s(self, now: float, workers: int, slowed_for_s: float | None) -> float | None:
        """How many pushes this worker may send on it in a second; None for no bound.

        `slowed_for_s` is how long ago the provider's throttling ended, None when there was none.
        """
        route = self.route
        bounds = [float(route.max_pushes_per_s)] if route.max_pushes_per_s else []
        if route.provider is Provider.FCM:
            bounds.append(rate_limit.FCM_PER_S)
        if slowed_for_s is not None and route.slowed_to_per_s is not None:
            bounds.append(rate_limit.recovered(route.slowed_to_per_s, slowed_for_s))
        if not bounds:
            return None
        ramped = rate_limit.ramped(min(bounds), route.ramp_s, self.quota.warm_for_s(now))
        return max(ramped / workers, 1.0)
