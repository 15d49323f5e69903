"""The estimate of a broadcast: its reach, exclusions by reason, and duration.

Accepted pushes are estimated from the workspace's own history, by platform and by the time since a device was last
used. The range is meant to hold in 19 of 20 cases: it is as wide as days differ from each other.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import msgspec

from pushkeeper.core.delivery.eligibility import SkipReason, skip_reason
from pushkeeper.core.model import Content, Platform, TokenShape

SEEN_STEPS = 6  # 0 within a day, 1 a week, 2 thirty days, 3 ninety, 4 two hundred and seventy, 5 longer ago
_STALE = {"30_days": 3, "90_days": 4, "270_days": 5}
_ENOUGH = 30  # past outcomes that an estimate is based on
_CERTAIN = 1.96


class ZoneState(StrEnum):
    """The state of a device's time zone."""

    KNOWN = "known"  # or nothing depends on it
    UNKNOWN = "unknown"  # its value is not a time zone
    MISSING = "missing"


class DeviceGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Devices of an audience that are alike in what decides; `devices` is how many.

    Attributes:
        shape: of an iPhone's token.
        seen: how long ago they were used, as a step.
        skip: the first reason not to send to them, as far as the database knows.
        failure_reason: why a push service last refused them.
        no_permission: the app may show none.
        zone: whether their time zone is known, where the schedule asks for it.
    """

    platform: Platform
    app: str
    environment: str
    shape: TokenShape
    seen: int
    skip: str | None
    failure_reason: str | None
    no_permission: bool
    zone: ZoneState = ZoneState.KNOWN
    devices: int


class SendRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a broadcast respects, as `core.delivery.eligibility.Message` has it."""

    send_to_unsubscribed: bool
    skip_without_permission: bool
    one_per_phone: bool


class RouteState(NamedTuple):
    """A route that some of the devices go by: its name, why it is paused if it is, and how fast it may go, if that is known."""

    name: str
    pause_reason: str | None
    per_s: float | None


class DailyOutcomes(NamedTuple):
    """Outcomes of one day's pushes to devices of a platform, by the time since they were last used."""

    platform: str
    seen: int
    accepted: int
    bounced: int


class Range(msgspec.Struct, frozen=True):
    """How many there will likely be, and between which bounds 19 times in 20."""

    least: int
    likely: int
    most: int


class PausedRoute(msgspec.Struct, frozen=True):
    route: str
    reason: str
    devices: int


class Zones(msgspec.Struct, frozen=True, kw_only=True):
    """Reachable devices whose time zone is unknown, and the zone that is used for them.

    Attributes:
        unknown: those with a value that is not a time zone; `names` has the most frequent values with their counts.
        missing: those without a value.
    """

    treated_as: str
    unknown: int
    missing: int
    names: dict[str, int]


class RenderCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How many pushes fail because the content cannot be rendered for their person or device.

    Attributes:
        checked: the reachable devices for which it was rendered; all of them if `whole`, else a random sample.
        failed: those for which it could not be.
        devices: the number of reachable devices that it means, counted or estimated from the sample.
        problems: the most frequent problems, with their counts in what was checked.
    """

    checked: int
    failed: int
    whole: bool
    devices: int
    problems: dict[str, int]

    @property
    def share(self) -> float:
        """The share that fails."""
        return self.failed / self.checked if self.checked else 0.0


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """The estimate of a broadcast.

    Attributes:
        reachable: devices that it would be sent to.
        left_out: devices that it would not be sent to, by reason.
        no_content: of those, the devices of platforms that it says nothing to.
        suppressed: of those, the suppressed ones by what the push service had answered.
        stale: reachable devices that were not used for so long.
        without_permission: reachable devices that may show no push.
        zones: devices whose time zone is not known; None where it does not depend on their zones when a push is due.
        paused: routes that are paused, and how many reachable devices wait for each.
        per_s: how fast it goes, as far as that is known.
        takes_s: how long it takes at that rate.
        accepted: how many pushes will be accepted; None without a history to tell from.
        rendering: None where the content is the same for everybody.
    """

    at: datetime
    people: int
    devices: int
    reachable: int
    left_out: dict[str, int]
    no_content: dict[str, int]
    suppressed: dict[str, int]
    stale: dict[str, int]
    without_permission: int
    zones: Zones | None
    paused: list[PausedRoute]
    per_s: float | None
    takes_s: float | None
    accepted: Range | None
    rendering: RenderCheck | None = None


Routes: TypeAlias = Mapping[tuple[Platform, str, str, TokenShape], RouteState]


class ForecastInput(msgspec.Struct, frozen=True, kw_only=True):
    """Input of an estimate: the audience by kinds of device, the route of each kind, and outcomes of past pushes.

    `per_s` is the broadcast's own limit; `fastest_per_s` the best rate that the workspace reached recently. `zone` is
    used for devices of an unknown time zone, None if the schedule does not depend on zones; `unknown_zones` are their
    values.
    """

    at: datetime
    people: int
    kinds: Sequence[DeviceGroup]
    routes: Routes
    history: Sequence[DailyOutcomes]
    per_s: float | None = None
    fastest_per_s: float | None = None
    zone: str | None = None
    unknown_zones: Mapping[str, int] = {}
    rendering: RenderCheck | None = None


def foresee(content: Content, facts: ForecastInput) -> Preflight:
    """Compute the estimate."""
    left_out, no_content, suppressed = Counter[str](), Counter[str](), Counter[str]()
    going: list[DeviceGroup] = []
    for kind in facts.kinds:
        reason = _reason(kind, content, facts)
        if reason is None:
            going.append(kind)
            continue
        left_out[reason] += kind.devices
        if reason is SkipReason.NO_CONTENT:
            no_content[kind.platform] += kind.devices
        if reason is SkipReason.SUPPRESSED:
            suppressed[kind.failure_reason or ""] += kind.devices
    reachable = sum(kind.devices for kind in going)
    rendering = _extended(facts.rendering, reachable)
    per_s = _rate(going, facts)
    return Preflight(
        at=facts.at,
        people=facts.people,
        devices=sum(kind.devices for kind in facts.kinds),
        reachable=reachable,
        left_out=dict(left_out),
        no_content=dict(no_content),
        suppressed=dict(suppressed.most_common()),
        stale={name: sum(k.devices for k in going if k.seen >= step) for name, step in _STALE.items()},
        without_permission=sum(kind.devices for kind in going if kind.no_permission),
        zones=None if facts.zone is None else _zones(facts.zone, going, facts.unknown_zones),
        paused=_paused(going, facts.routes),
        per_s=per_s,
        takes_s=None if per_s is None else round(reachable / per_s, 1),
        accepted=_rendered(_accepted(going, facts.history), rendering),
        rendering=rendering,
    )


def _reason(kind: DeviceGroup, content: Content, facts: ForecastInput) -> SkipReason | None:
    reason = skip_reason(kind.skip, kind.platform, content)
    if reason is None and _address(kind) not in facts.routes:
        return SkipReason.NO_ROUTE
    return reason


def _address(kind: DeviceGroup) -> tuple[Platform, str, str, TokenShape]:
    return kind.platform, kind.app, kind.environment, kind.shape


def _paused(going: Iterable[DeviceGroup], routes: Routes) -> list[PausedRoute]:
    waiting = Counter[RouteState]()
    for kind in going:
        route = routes[_address(kind)]
        if route.pause_reason is not None:
            waiting[route] += kind.devices
    return [PausedRoute(r.name, r.pause_reason or "", devices) for r, devices in waiting.most_common()]


def _zones(treated_as: str, going: Iterable[DeviceGroup], names: Mapping[str, int]) -> Zones:
    counts = Counter[ZoneState]()
    for kind in going:
        counts[kind.zone] += kind.devices
    unknown, missing = counts[ZoneState.UNKNOWN], counts[ZoneState.MISSING]
    return Zones(treated_as=treated_as, unknown=unknown, missing=missing, names=dict(names))


def _rate(going: Sequence[DeviceGroup], facts: ForecastInput) -> float | None:
    """The lowest limit on the rate: its own, the sum of the routes', and the best that was reached recently."""
    taken = {facts.routes[_address(kind)] for kind in going}
    of_routes = [route.per_s for route in taken]
    together = sum(per_s for per_s in of_routes if per_s is not None) if None not in of_routes else None
    known = [per_s for per_s in (facts.per_s, together or None, facts.fastest_per_s) if per_s]
    # The recent rate may itself have been limited: then the estimated duration is too long, never too short.
    return min(known, default=None)


class _Share(NamedTuple):
    """A share of pushes that is accepted, and how far one day's is from another's, as a standard deviation."""

    mean: float
    deviation: float


def _accepted(going: Sequence[DeviceGroup], history: Sequence[DailyOutcomes]) -> Range | None:
    steps = Counter[tuple[str, int]]()
    for kind in going:
        steps[kind.platform.value, kind.seen] += kind.devices
    likely = swing = chance = 0.0
    for (platform, seen), devices in steps.items():
        share = _share(platform, seen, history)
        if share is None:
            return None
        likely += devices * share.mean
        # A day that is worse for one kind is as a rule worse for all.
        swing += devices * share.deviation
        chance += devices * share.mean * (1 - share.mean)
    off = _CERTAIN * math.sqrt(swing**2 + chance)
    most = sum(steps.values())
    return Range(max(0, math.floor(likely - off)), round(likely), min(most, math.ceil(likely + off)))


def _extended(check: RenderCheck | None, reachable: int) -> RenderCheck | None:
    """A check with the number of reachable devices that its sample means."""
    if check is None or check.whole:
        return check
    return msgspec.structs.replace(check, devices=round(check.share * reachable))


def _rendered(accepted: Range | None, check: RenderCheck | None) -> Range | None:
    """The same without the pushes that cannot be rendered."""
    if accepted is None or check is None or not check.failed:
        return accepted
    kept = 1 - check.share
    return Range(
        math.floor(accepted.least * kept), round(accepted.likely * kept), math.ceil(accepted.most * kept)
    )


def _share(platform: str, seen: int, history: Sequence[DailyOutcomes]) -> _Share | None:
    """The share of these devices, or else of their platform, or of all."""
    for days in (
        [day for day in history if (day.platform, day.seen) == (platform, seen)],
        [day for day in history if day.platform == platform],
        history,
    ):
        if sum(day.accepted + day.bounced for day in days) >= _ENOUGH:
            return _of_days(days)
    return None


def _of_days(days: Sequence[DailyOutcomes]) -> _Share:
    accepted = sum(day.accepted for day in days)
    results = sum(day.accepted + day.bounced for day in days)
    # Half a push of each outcome keeps the share away from 0 and 1, which are never certain.
    mean = (accepted + 0.5) / (results + 1)
    unsure = mean * (1 - mean) / (results + 1)
    between = sum((day.accepted + day.bounced) * _off(day, mean) ** 2 for day in days) / results
    return _Share(mean, math.sqrt(between + unsure))


def _off(day: DailyOutcomes, mean: float) -> float:
    results = day.accepted + day.bounced
    return day.accepted / results - mean if results else 0.0


def by_day(rows: Iterable[tuple[str, int, str, int]]) -> list[DailyOutcomes]:
    """Results of one day, given as (platform, step, ending, pushes), as shares are made from them."""
    found: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for platform, seen, ending, pushes in rows:
        found[platform, seen][ending] += pushes
    return [DailyOutcomes(*key, counts["accepted"], counts["bounced"]) for key, counts in found.items()]
