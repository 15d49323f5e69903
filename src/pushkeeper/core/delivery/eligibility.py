"""What stands against sending a message to a device: asked at the last hop, before a broadcast, and by whoever asks why."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pushkeeper.core.delivery.device_status import LastStatus

if TYPE_CHECKING:
    from collections.abc import Collection

    from pushkeeper.core.model import Content, PersonId, Platform


class SkipReason(StrEnum):
    """Why a push was not sent; each is a recorded fact."""

    CANCELLED = "cancelled"  # the broadcast was, before it came to this device
    DELETED = "deleted"  # the device was logged out or deleted after the push was queued
    MOVED = "moved"  # the token was registered for another person after the push was queued
    SUPPRESSED = "suppressed"  # the push service refused the last two; no more attempts
    UNSUBSCRIBED = "unsubscribed"  # the person is, and the message respects it
    CHANNEL_OFF = "channel_off"  # the person wants no pushes, and the message respects it
    NO_PERMISSION = "no_permission"  # the app may show no pushes on the device, and the message respects it
    SAME_PHONE = "same_phone"  # the person has the same phone under a later token, and one push is enough
    OTHER_PLATFORM = "other_platform"  # the message is for devices of other platforms
    NO_CONTENT = "no_content"  # the message says nothing to this platform
    NO_ROUTE = "no_route"  # the workspace has no credentials for this platform, app and environment


class Device(Protocol):
    """What of a device decides."""

    @property
    def person_id(self) -> PersonId: ...
    @property
    def status(self) -> LastStatus: ...
    @property
    def platform(self) -> Platform: ...


class Target(Protocol):
    """For whom it is, and what that person or their device says of pushes.

    `hindrance` is the first of `channel_off`, `no_permission` and `same_phone` that is so and that the message asks about.
    """

    @property
    def planned_for(self) -> PersonId: ...
    @property
    def unsubscribed(self) -> bool: ...
    @property
    def hindrance(self) -> str | None: ...


class Message(Protocol):
    """What of a message decides; `content` is None when it cannot be read, `platforms` when it is for all."""

    @property
    def content(self) -> Content | None: ...
    @property
    def send_to_unsubscribed(self) -> bool: ...
    @property
    def platforms(self) -> Collection[str] | None: ...


def against(device: Device, target: Target, message: Message) -> SkipReason | None:
    """The first thing that stands against sending a message to a device that is there; None when nothing does."""
    if device.person_id != target.planned_for:
        return SkipReason.MOVED
    if device.status is LastStatus.SUPPRESSED:
        return SkipReason.SUPPRESSED
    if target.unsubscribed and not message.send_to_unsubscribed:
        return SkipReason.UNSUBSCRIBED
    if target.hindrance is not None:
        return SkipReason(target.hindrance)
    return _against_content(device, message)


def _against_content(device: Device, message: Message) -> SkipReason | None:
    if message.platforms is not None and device.platform.value not in message.platforms:
        return SkipReason.OTHER_PLATFORM
    if message.content is not None and not message.content.says_something_to(device.platform):
        return SkipReason.NO_CONTENT
    return None
