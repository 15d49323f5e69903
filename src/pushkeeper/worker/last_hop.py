"""The last look before a push leaves: is the device still the one it was planned for, and which route takes it?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from pushkeeper.core.model import Environment, Platform, Provider
from pushkeeper.core.status import LastStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pushkeeper.store.batches import MessageToSend, StandingDevice, Target
    from pushkeeper.store.credentials import Route


class SkipReason(StrEnum):
    """Why a push was not sent; each is a recorded fact."""

    DELETED = "deleted"  # the device was logged out or deleted after the push was queued
    MOVED = "moved"  # the token was registered for another person after the push was queued
    SUPPRESSED = "suppressed"  # the push service refused the last two; no more attempts
    UNSUBSCRIBED = "unsubscribed"  # the person is, and the message respects it
    NO_CONTENT = "no_content"  # the message says nothing to this platform
    NO_ROUTE = "no_route"  # the workspace has no credentials for this platform, app and environment


@dataclass(frozen=True, slots=True)
class Skip:
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Expire:
    """The message is no longer worth sending."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The route is paused: the push is held with it."""

    route: Route
    reason: str


@dataclass(frozen=True, slots=True)
class Go:
    """Send it, to this device, on this route."""

    device: StandingDevice
    route: Route


Fate: TypeAlias = Skip | Expire | Wait | Go


def decide(target: Target, message: MessageToSend, routes: Sequence[Route], now: datetime) -> Fate:
    """What becomes of a target at the last hop; the first thing that stands against sending it names the reason."""
    device = target.device
    if device is None:
        return Skip(SkipReason.DELETED)
    if (reason := _against(target, device, message)) is not None:
        return Skip(reason)
    if now >= message.expires_at:
        return Expire()
    route = choose_route(device, routes)
    if route is None:
        return Skip(SkipReason.NO_ROUTE)
    if route.pause_reason is not None:
        return Wait(route, route.pause_reason)
    return Go(device, route)


def _against(target: Target, device: StandingDevice, message: MessageToSend) -> SkipReason | None:
    if device.person_id != target.planned_for:
        return SkipReason.MOVED
    if device.status is LastStatus.SUPPRESSED:
        return SkipReason.SUPPRESSED
    if target.unsubscribed and not message.send_to_unsubscribed:
        return SkipReason.UNSUBSCRIBED
    if not message.content.says_something_to(device.platform):
        return SkipReason.NO_CONTENT
    return None


def choose_route(device: StandingDevice, routes: Sequence[Route]) -> Route | None:
    """The route for a device among its workspace's: None rather than a guess between several.

    An iPhone goes by APNs where there is a credential for it, and else by FCM's Apple leg. A device that does not say
    its app or environment takes the only one there is, and of the two environments production.
    """
    if device.platform is Platform.IOS:
        apns = [r for r in routes if r.provider is Provider.APNS and _fits(device, r)]
        if not device.environment:
            apns = [r for r in apns if r.environment is Environment.PRODUCTION] or apns
        if apns:
            return apns[0] if len(apns) == 1 else None
        return _only(
            [r for r in routes if r.provider is Provider.FCM and r.leg == "apple" and _fits(device, r)]
        )
    if device.platform is Platform.ANDROID:
        return _only([r for r in routes if r.provider is Provider.FCM and not r.leg and _fits(device, r)])
    return None


def _fits(device: StandingDevice, route: Route) -> bool:
    if route.provider is Provider.FCM:
        # An iPhone's app id is a bundle id, which says nothing of the project that it is in.
        return device.platform is Platform.IOS or device.app in {"", route.app}
    return device.app in {"", route.app} and device.environment in {"", route.environment.value}


def _only(routes: Sequence[Route]) -> Route | None:
    return routes[0] if len(routes) == 1 else None
