"""The last look before a push leaves: is the device still the one it was planned for, and which route takes it?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pushkeeper.core.status import LastStatus
from pushkeeper.store.batches import StandingDevice
from pushkeeper.store.routes import Route

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.routing import Ways
    from pushkeeper.store.batches import MessageToSend, Target


UNREADABLE = "unreadable"


class SkipReason(StrEnum):
    """Why a push was not sent; each is a recorded fact."""

    DELETED = "deleted"  # the device was logged out or deleted after the push was queued
    MOVED = "moved"  # the token was registered for another person after the push was queued
    SUPPRESSED = "suppressed"  # the push service refused the last two; no more attempts
    UNSUBSCRIBED = "unsubscribed"  # the person is, and the message respects it
    OTHER_PLATFORM = "other_platform"  # the message is for devices of other platforms
    NO_CONTENT = "no_content"  # the message says nothing to this platform
    NO_ROUTE = "no_route"  # the workspace has no credentials for this platform, app and environment


class Skip(msgspec.Struct, frozen=True, gc=False):
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Expire:
    """The message is no longer worth sending."""


class Stop(msgspec.Struct, frozen=True, gc=False):
    """The message is not sent on: providers call it malformed, or what is stored of it cannot be read."""

    reason: str


class Wait(msgspec.Struct, frozen=True, gc=False):
    """The route is paused, or cannot be sent on: the push waits in its lane."""

    route: Route


class Go(msgspec.Struct, frozen=True, gc=False):
    """Send it, to this device, on this route."""

    device: StandingDevice
    route: Route


Fate: TypeAlias = Skip | Expire | Stop | Wait | Go


def decide(target: Target, message: MessageToSend, ways: Ways[Route], now: datetime) -> Fate:
    """What becomes of a target at the last hop; the first thing that stands against sending it names the reason."""
    device = target.device
    if device is None:
        return Skip(SkipReason.DELETED)
    if (reason := _against(target, device, message)) is not None:
        return Skip(reason)
    if now >= message.expires_at:
        return Expire()
    if message.content is None or message.stop_reason is not None:
        return Stop(message.stop_reason or UNREADABLE)
    return _on_its_way(device, ways)


def _on_its_way(device: StandingDevice, ways: Ways[Route]) -> Fate:
    route = ways.of(device)
    if route is None:
        return Skip(SkipReason.NO_ROUTE)
    if route.pause_reason is not None:
        return Wait(route)
    return Go(device, route)


def _against(target: Target, device: StandingDevice, message: MessageToSend) -> SkipReason | None:
    if device.person_id != target.planned_for:
        return SkipReason.MOVED
    if device.status is LastStatus.SUPPRESSED:
        return SkipReason.SUPPRESSED
    if target.unsubscribed and not message.send_to_unsubscribed:
        return SkipReason.UNSUBSCRIBED
    if message.platforms is not None and device.platform.value not in message.platforms:
        return SkipReason.OTHER_PLATFORM
    if message.content is not None and not message.content.says_something_to(device.platform):
        return SkipReason.NO_CONTENT
    return None
