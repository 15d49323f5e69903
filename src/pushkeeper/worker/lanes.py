"""Lanes: what this worker may send on each route now, and what responses imply for it.

The rules are `core/delivery/rate_limit.py` and `core/delivery/refusal_guard.py`; here is the state that they apply
to. State of all workers (paused, throttled, verified) is in PostgreSQL: `refresh` passes it to a lane, which only
anticipates it. `take_changes` returns what has to be written, with the pushes that caused it.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core.delivery.outcome import (
    Accepted,
    BadCredentials,
    Certainty,
    Refused,
    Scope,
    Silence,
    Throttled,
    Unanswered,
    Unavailable,
)
from pushkeeper.core.delivery.rate_limit import Breaker, DevicePace, Phase
from pushkeeper.core.delivery.refusal_guard import RefusalGuard, Result, Wave
from pushkeeper.core.delivery.retry import Hold
from pushkeeper.core.model import Provider
from pushkeeper.store.delivery.routes import PauseKind
from pushkeeper.worker.lane import Lane, Look, Quota

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pushkeeper.core.delivery.outcome import Outcome, Verdict
    from pushkeeper.core.delivery.retry import Held
    from pushkeeper.core.model import DeviceId, RouteId, RouteKey, WorkspaceId
    from pushkeeper.store.delivery.routes import Route

# Unsettled pushes that a lane may have: half of what it answered within the last second. So a crash repeats half a
# second's work at most, and a lane that does not answer cannot fill the worker's memory.
LEAST_UNSETTLED = 500
URGENT_BESIDES = 500
# This many throttled devices within this time mean the project's limit, not theirs.
THROTTLED_DEVICES = 3
THROTTLED_WITHIN_S = 10.0
REST_S = 60.0
BELIEF_S = 600.0
FORESTALLED_S = 5.0
PUT_BACK_S = 1.0
RETRIES_SPREAD_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A route is to stop, or all of its credential (`whole`)."""

    route: Route
    whole: bool
    kind: PauseKind
    reason: str
    probe_after_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """A route, or all of its credential (`whole`), has to rest and then resume slowly."""

    route: Route
    whole: bool
    rest_s: float
    slowed_to_per_s: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """Somebody should look."""

    route: Route
    reason: str
    text: str
    detail: str = ""


class Lanes:
    """All lanes of one worker; `now` is monotonic seconds."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """`wall` is the clock of what all workers know, in seconds since the epoch."""
        self._wall = wall
        self.workers = 1
        self._lanes: dict[RouteId, Lane] = {}
        self._quotas: dict[int, Quota] = {}
        self._breakers: dict[str, Breaker] = {}
        self._pace = DevicePace()
        self._pauses: list[Pause] = []
        self._rests: list[Rest] = []
        self._alarms: list[Alarm] = []
        self._closed: list[tuple[Route, bool]] = []

    def __getitem__(self, route: RouteId) -> Lane:
        return self._lanes[route]

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    @property
    def workspaces(self) -> set[WorkspaceId]:
        """Whose routes this worker has sent on."""
        return {lane.route.workspace_id for lane in self._lanes.values()}

    def refresh(self, routes: Iterable[Route]) -> list[Route]:
        """Update the lanes from the routes; returns those that have newly stopped."""
        stopped = []
        for route in routes:
            lane = self._lanes.get(route.route_id)
            if lane is None or lane.route.changed_at != route.changed_at:
                self._lanes[route.route_id] = self._open(route, lane)
                continue
            if route.paused_at and not lane.route.paused_at:
                stopped.append(route)
            if lane.route.paused_at and not route.paused_at:
                # An operator, or a probe, has resolved the pause.
                lane.guard, lane.tripped, lane.noticed, lane.closed_until = RefusalGuard(), False, False, 0.0
            lane.route, lane.looked = route, None
            lane.accepted = lane.accepted or route.accepted_at is not None
        return stopped

    def _open(self, route: Route, former: Lane | None) -> Lane:
        quota = self._quotas.setdefault(route.credential_id, Quota())
        breaker = self._breakers.setdefault(route.host, Breaker())
        return Lane(
            route=route,
            quota=quota,
            breaker=breaker,
            accepted=route.accepted_at is not None,
            unsettled=former.unsettled if former else 0,
        )

    # What may go.

    def rooms(self, now: float) -> dict[RouteId, int]:
        """How many devices each lane has room for; those that are not known yet have all there is."""
        return {route_id: self._room(lane, now) for route_id, lane in self._lanes.items()}

    def opens_in_s(self, now: float) -> float | None:
        """When the next throttled lane opens again; None without one."""
        waits = [wait for lane in self._lanes.values() if (wait := self._look(lane, now).opens_in_s)]
        return min(waits, default=None)

    def wait_s(self, route: RouteId, device: DeviceId, *, again: bool, now: float) -> float:
        """0 when a push may be sent to this device now, which is counted; else how long it waits in its lane.

        `again` says that the push was attempted before.
        """
        lane = self._lanes[route]
        quota, look = lane.quota, self._look(lane, now)
        if look.opens_in_s:
            return look.opens_in_s
        if lane.unsettled >= (1 if look.one_alone else look.most_unsettled + URGENT_BESIDES):
            return PUT_BACK_S
        if look.bounded and quota.bucket.tokens < 1.0:
            return PUT_BACK_S
        if again and not quota.budget.take(now):
            return random.uniform(PUT_BACK_S, RETRIES_SPREAD_S)  # noqa: S311 - it spreads load, it guards nothing
        if lane.route.provider is Provider.FCM and (wait := self._pace.wait_s(device, now)):
            return wait
        if look.bounded:
            quota.bucket.tokens -= 1.0
        if not again:
            quota.budget.sent(now)
        quota.note_sent(now)
        lane.unsettled += 1
        return 0.0

    def settled(self, route: RouteId) -> None:
        """A dispatched push is written, or dropped."""
        self._lanes[route].unsettled -= 1

    def _room(self, lane: Lane, now: float) -> int:
        look = self._look(lane, now)
        if look.opens_in_s or lane.route.paused_at:
            return 0
        if look.one_alone:
            return 0 if lane.unsettled else 1
        room = look.most_unsettled - lane.unsettled
        return max(0, min(room, int(lane.quota.bucket.tokens)) if look.bounded else room)

    def _look(self, lane: Lane, now: float) -> Look:
        if lane.looked is not None and lane.looked.at == now:
            return lane.looked
        throttled = lane.route.throttled_until
        rests_s = 0.0 if throttled is None else throttled.timestamp() - self._wall()
        per_s = lane.per_s(now, self.workers, None if throttled is None else -rests_s)
        if per_s is not None:
            lane.quota.bucket.fill(per_s, now)
        phase = lane.breaker.phase(now)
        waits = [lane.closed_until - now, rests_s]
        if phase is Phase.OPEN:
            waits.append(lane.breaker.open_until - now)
        if per_s is not None and lane.quota.bucket.tokens < 1.0:
            waits.append((1.0 - lane.quota.bucket.tokens) / per_s)
        lane.looked = Look(
            at=now,
            opens_in_s=max(0.0, *waits),
            most_unsettled=max(LEAST_UNSETTLED, lane.answered.total(now) // 2),
            bounded=per_s is not None,
            one_alone=phase is Phase.HALF_OPEN,
        )
        return lane.looked

    # What the answers say.

    def on_accepted(self, route: RouteId, count: int, *, now: float) -> None:
        """Take in that so many pushes were accepted: what nearly all answers are, many at a time."""
        lane = self._lanes[route]
        lane.accepted = True
        lane.answered.add(count, now)
        lane.breaker.record_good(count, now)
        lane.guard.observe_accepted(count, now)
        lane.results[Result.ACCEPTED] = lane.results.get(Result.ACCEPTED, 0) + count

    def on_verdict(self, route: RouteId, device: DeviceId, verdict: Verdict, *, now: float) -> bool:
        """Take in an answer other than acceptance; False when a refusal of credentials is not to be believed yet."""
        lane = self._lanes[route]
        lane.answered.add(1, now)
        if self._opens_breaker(lane, verdict.outcome, now):
            reason = f"half of the last requests failed: {verdict.status or verdict.reason}"
            self._alarms.append(Alarm(lane.route, "breaker", reason, verdict.detail))
            self._closed.append((lane.route, True))
        if verdict.alert:
            self._alarms.append(Alarm(lane.route, verdict.code, verdict.alert, verdict.detail))
        match verdict.outcome:
            case BadCredentials(believed_from=needed) if needed > 1:
                return _distinct(lane.doubts, device, now, BELIEF_S) >= needed
            case Throttled(scope=Scope.CREDENTIAL | Scope.APPLE_LEG | Scope.ENDPOINT as scope) if (
                lane.route.provider is not Provider.APNS
            ):
                self._on_throttled(lane, device, verdict.outcome, scope, now)
        self._observe(lane, device, verdict.outcome, now)
        return True

    def stop(self, route: RouteId, held: Held, verdict: Verdict, now: float) -> None:
        """A push is on hold for its route's credentials, or its endpoint: the route stops until that is fixed."""
        lane, whole = self._lanes[route], held.scope is Scope.CREDENTIAL
        if not self._close(lane, now, whole=whole):
            return
        words = [held.reason.value, str(verdict.status or ""), verdict.reason]
        self._pauses.append(
            Pause(
                route=lane.route,
                whole=whole,
                kind=PauseKind.UNTRUSTED if held.reason is Hold.UNTRUSTED else PauseKind.CREDENTIALS,
                reason=" ".join(word for word in words if word),
                probe_after_s=held.probe_after_s,
            )
        )

    def _opens_breaker(self, lane: Lane, outcome: Outcome, now: float) -> bool:
        match outcome:
            case Unanswered(silence=Silence.NOT_SENT) | Unavailable():
                return lane.breaker.record_bad(now)
            case Unanswered():
                return False
            case _:
                lane.breaker.record_good(1, now)
                return False

    def _on_throttled(
        self, lane: Lane, device: DeviceId, throttled: Throttled, scope: Scope, now: float
    ) -> None:
        devices = _distinct(lane.throttled, device, now, THROTTLED_WITHIN_S)
        if devices < THROTTLED_DEVICES or not self._close(lane, now, whole=scope is Scope.CREDENTIAL):
            return
        rest_s = throttled.after_s or REST_S
        lane.throttled.clear()
        self._rests.append(
            Rest(
                route=lane.route,
                whole=scope is Scope.CREDENTIAL,
                rest_s=rest_s,
                slowed_to_per_s=max(lane.quota.per_s(now) * self.workers / 2, 1.0),
            )
        )

    def _close(self, lane: Lane, now: float, *, whole: bool) -> bool:
        """Let nothing through until what all workers are to know is written; False when it was closed already."""
        if now < lane.closed_until:
            return False
        self._closed.append((lane.route, whole))
        lane.looked = None
        lane.closed_until = now + FORESTALLED_S
        return True

    def _observe(self, lane: Lane, device: DeviceId, outcome: Outcome, now: float) -> None:
        result = _result(outcome)
        lane.results[result] = lane.results.get(result, 0) + 1
        lane.guard.observe(result, device, now)
        if result not in {Result.AMBIGUOUS, Result.DEFINITE}:
            return
        wave = lane.guard.wave(lane.route.norm)
        believed_until = lane.route.believed_until
        believed = believed_until is not None and self._wall() < believed_until.timestamp()
        if wave is Wave.HOLD and not (lane.guarded or believed):
            lane.tripped = True
            self._close(lane, now, whole=False)
            text = "a wave of refusals that may be a setting's fault: apply or discard them"
            self._pauses.append(
                Pause(route=lane.route, whole=False, kind=PauseKind.GUARD, reason=text, probe_after_s=None)
            )
            self._alarms.append(Alarm(lane.route, "guard", text))
        if wave is Wave.NOTICE and not lane.noticed:
            lane.noticed = True
            self._alarms.append(Alarm(lane.route, "wave", "most devices are refused as gone"))

    def take_changes(self) -> tuple[list[Pause], list[Rest], list[Alarm]]:
        """The changes to write, once."""
        news = (self._pauses, self._rests, self._alarms)
        self._pauses, self._rests, self._alarms = [], [], []
        return news

    def take_closed(self) -> list[tuple[Route, bool]]:
        """Routes that have just closed, each with whether its whole credential did: nothing more is to leave on them."""
        closed, self._closed = self._closed, []
        return closed

    def take_results(self) -> dict[RouteKey, dict[Result, int]]:
        """The results of each route's pushes since the last time."""
        found = {}
        for lane in self._lanes.values():
            if lane.results:
                found[lane.route.key], lane.results = lane.results, {}
        return found


def _result(outcome: Outcome) -> Result:
    match outcome:
        case Accepted():
            return Result.ACCEPTED
        case Refused(certainty=Certainty.AMBIGUOUS):
            return Result.AMBIGUOUS
        case Refused(certainty=Certainty.DEFINITE):
            return Result.DEFINITE
        case _:
            return Result.OTHER


def _distinct(devices: dict[DeviceId, float], device: DeviceId, now: float, within_s: float) -> int:
    """How many different devices there were within so long, this one among them."""
    devices[device] = now
    for former, at in list(devices.items()):
        if now - at > within_s:
            del devices[former]
    return len(devices)
