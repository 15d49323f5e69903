"""The progress and estimated completion of a broadcast. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

_SPAN_S = 120.0  # of the recent rate
_ALL_KEYS = 1 << 128


class Unknown(StrEnum):
    """Why the completion of a broadcast cannot be estimated."""

    NOT_STARTED = "not_started"  # a draft, or scheduled
    PAUSED = "paused"  # until it is resumed
    SENDING_PAUSED = "sending_paused"  # as is all of the workspace
    ROUTE_PAUSED = "route_paused"  # the rest waits for a paused route
    NOTHING_YET = "nothing_yet"  # no pushes processed recently
    OVER = "over"  # nothing is left to send


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a broadcast.

    Attributes:
        devices: how many devices it is for; an estimate while planning is not finished (`exact` is False).
        settled: devices that are processed.
        remaining: devices that are not.
        per_s: the recent rate, in devices per second.
        ends_at: when the last will be processed, at that rate.
        unknown: why `ends_at` is not known.
    """

    devices: int
    exact: bool
    settled: int
    remaining: int
    per_s: float
    ends_at: datetime | None
    unknown: Unknown | None


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the size of an audience.

    Attributes:
        planned: for how many devices the broadcast is planned so far, and whether those are all.
        last_device: how far the plan has come in the keys of devices, which are spread evenly.
        parts: how many moments it is due at.
        expected: how many devices its estimate counted; None without one.
    """

    planned: int
    all_planned: bool
    last_device: bytes
    parts: int
    expected: int | None


class ProgressInput(msgspec.Struct, frozen=True, kw_only=True):
    """What progress is computed from.

    Attributes:
        started, paused, over: its state.
        sending_paused: all sending of its workspace is paused.
        audience: what is known about its size.
        settled: devices that are processed; `settled_lately` of them in the last `lately_s` seconds.
        held_up: devices that wait for a paused route.
        last_due_at: when the last queued device is due.
        bound_per_s: its own rate limit.
    """

    now: datetime
    started: bool
    paused: bool
    over: bool
    sending_paused: bool = False
    audience: Audience
    settled: int
    settled_lately: int
    lately_s: float
    held_up: int
    last_due_at: datetime | None
    bound_per_s: float | None


def tell(facts: ProgressInput) -> Progress:
    """Compute the progress and the estimated completion."""
    devices, exact = audience_size(facts.audience)
    devices = max(devices, facts.settled)
    remaining = 0 if facts.over else devices - facts.settled
    per_s = facts.settled_lately / facts.lately_s if facts.lately_s > 0 else 0.0
    unknown = _unknown(facts, remaining, per_s)
    return Progress(
        devices=facts.settled if facts.over else devices,
        exact=exact or facts.over,
        settled=facts.settled,
        remaining=remaining,
        per_s=round(per_s, 1),
        ends_at=None if unknown else _ends_at(facts, remaining, per_s),
        unknown=unknown,
    )


def audience_size(audience: Audience) -> tuple[int, bool]:
    """The number of devices, and whether it is exact.

    Until all are planned it is what the estimate counted, else what the share of keys that the plan has come to says.
    """
    planned = audience.planned
    if audience.all_planned:
        return planned, True
    if audience.expected is not None:
        return max(audience.expected, planned), False
    if not planned or audience.parts > 1:
        return planned, False
    share = int.from_bytes(audience.last_device.ljust(16, b"\0")[:16], "big") / _ALL_KEYS
    return (round(planned / share) if share > 0 else planned), False


def _unknown(facts: ProgressInput, remaining: int, per_s: float) -> Unknown | None:
    for is_so, unknown in (
        (facts.over, Unknown.OVER),
        (not facts.started, Unknown.NOT_STARTED),
        (facts.paused, Unknown.PAUSED),
        (facts.sending_paused, Unknown.SENDING_PAUSED),
    ):
        if is_so:
            return unknown
    if remaining and facts.held_up >= remaining:
        return Unknown.ROUTE_PAUSED
    if not per_s and not (facts.bound_per_s or facts.last_due_at):
        return Unknown.NOTHING_YET
    return None


def _ends_at(facts: ProgressInput, remaining: int, per_s: float) -> datetime:
    rate = per_s if facts.bound_per_s is None else min(per_s or facts.bound_per_s, facts.bound_per_s)
    by_rate = facts.now + timedelta(seconds=remaining / rate) if rate else facts.now
    return max(by_rate, facts.last_due_at or by_rate)


def lately(started_at: datetime | None, now: datetime) -> tuple[datetime, float]:
    """The minute from which a recent rate is measured, and its length in seconds: about two minutes, or since the start.

    Outcomes are counted by the minute, so that it begins with a full one.
    """
    if started_at is None:
        return now, 0.0
    begins = (now - timedelta(seconds=_SPAN_S)).replace(second=0, microsecond=0)
    if started_at > begins:
        return started_at.replace(second=0, microsecond=0), max((now - started_at).total_seconds(), 1.0)
    return begins, (now - begins).total_seconds()
