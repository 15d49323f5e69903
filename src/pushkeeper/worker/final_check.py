"""The last look before a push leaves: is the device still the one it was planned for, and which route takes it?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pushkeeper.core.broadcasts.schedule import known_zone
from pushkeeper.core.delivery.eligibility import SkipReason, skip_reason
from pushkeeper.core.model import Platform
from pushkeeper.store.db.unreadable import UNREADABLE
from pushkeeper.store.delivery.queue import ClaimedDevice
from pushkeeper.store.delivery.routes import Route

if TYPE_CHECKING:
    from pushkeeper.core.delivery.route_choice import RouteTable
    from pushkeeper.store.delivery.queue import MessageToSend, Target


class Skip(msgspec.Struct, frozen=True, gc=False):
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Expire:
    """The message is no longer worth sending."""


class Stop(msgspec.Struct, frozen=True, gc=False):
    """The message stopped for this reason code: it is malformed or unreadable; `detail` is what is known about it."""

    reason: str
    detail: str | None = None


class Wait(msgspec.Struct, frozen=True, gc=False):
    """The route is paused, or cannot be sent on: the push waits in its lane."""

    route: Route


class Later(msgspec.Struct, frozen=True, gc=False):
    """Not now: the broadcast is paused, or these are not its hours for the device; `at` is when to look again."""

    at: datetime


class Go(msgspec.Struct, frozen=True, gc=False):
    """Send it, to this device, on this route."""

    device: ClaimedDevice
    route: Route


Fate: TypeAlias = Skip | Expire | Stop | Wait | Later | Go


def decide(target: Target, message: MessageToSend, ways: RouteTable[Route], now: datetime) -> Fate:
    """The decision on a target at the final check; the first obstacle is the reason."""
    if message.cancelled:
        return Skip(SkipReason.CANCELLED)
    if message.paused and now < message.expires_at:
        return Later(now)
    device = target.device
    if device is None:
        return Stop(UNREADABLE) if target.skip == UNREADABLE else Skip(SkipReason.DELETED)
    if (reason := skip_reason(target.skip, device.platform, message.content)) is not None:
        return Skip(reason)
    if now >= message.expires_at:
        return Expire()
    return _of_message(target, device, message, ways, now)


def _of_message(
    target: Target, device: ClaimedDevice, message: MessageToSend, ways: RouteTable[Route], now: datetime
) -> Fate:
    if message.stop_reason is not None:
        code, _, detail = message.stop_reason.partition(": ")
        return Stop(code, detail or None)
    if message.content is None:
        return Stop(UNREADABLE)
    schedule = message.schedule
    if schedule.window is not None:
        opening = schedule.window.opening(now, known_zone(target.zone, schedule.time_zone))
        if opening > now:
            return Later(opening)
    return _on_its_way(device, ways)


def _on_its_way(device: ClaimedDevice, ways: RouteTable[Route]) -> Fate:
    route = ways.of(device)
    if route is None:
        return Skip(SkipReason.NO_ROUTE)
    if device.platform is Platform.WEB and device.browser_keys is None:
        return Skip(SkipReason.NO_KEYS)
    if route.pause_reason is not None:
        return Wait(route)
    return Go(device, route)
