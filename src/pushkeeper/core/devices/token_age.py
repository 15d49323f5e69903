"""Ages of tokens, and when FCM expires them. Pure.

Registrations of Android apps expire at FCM when they were not used for 270 days, and are rejected from then on as if the app
were uninstalled; neither FCM nor APNs has such a clock for iPhones.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.model import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable

EXPIRES_AFTER_DAYS = 270
_STEPS = (7, 30, 90, 180, EXPIRES_AFTER_DAYS)
_WEEK = 7


class UsageCount(msgspec.Struct, frozen=True):
    """A count of devices by platform and whole days since their last use; some are suppressed."""

    platform: str
    days: int
    devices: int
    suppressed: int


class AgeBand(msgspec.Struct, frozen=True, kw_only=True):
    """Devices that were last used at least `since_days` and less than `until_days` ago; None: no limit."""

    platform: str
    since_days: int
    until_days: int | None
    devices: int
    suppressed: int


class ExpiryWeek(msgspec.Struct, frozen=True, kw_only=True):
    """Devices whose FCM token expires in the week from this day, unless the app is opened before."""

    begins: date
    devices: int


def ages(used: Iterable[UsageCount]) -> list[AgeBand]:
    """Devices by platform and age, the youngest first, including empty steps."""
    counted: dict[str, list[Counter[str]]] = {}
    for one in used:
        step = sum(one.days >= least for least in _STEPS)
        told = counted.setdefault(one.platform, [Counter() for _ in range(len(_STEPS) + 1)])[step]
        told["devices"] += one.devices
        told["suppressed"] += one.suppressed
    return [
        AgeBand(
            platform=platform,
            since_days=0 if step == 0 else _STEPS[step - 1],
            until_days=_STEPS[step] if step < len(_STEPS) else None,
            devices=told["devices"],
            suppressed=told["suppressed"],
        )
        for platform, steps in sorted(counted.items())
        for step, told in enumerate(steps)
    ]


def calendar(used: Iterable[UsageCount], today: date) -> list[ExpiryWeek]:
    """The weeks from today until FCM would have expired all current Android devices."""
    weeks = [0] * (EXPIRES_AFTER_DAYS // _WEEK + 1)
    for one in used:
        if one.platform == Platform.ANDROID and one.days < EXPIRES_AFTER_DAYS:
            weeks[(EXPIRES_AFTER_DAYS - one.days) // _WEEK] += one.devices - one.suppressed
    return [
        ExpiryWeek(begins=today + timedelta(days=number * _WEEK), devices=devices)
        for number, devices in enumerate(weeks)
    ]
