"""Eligibility: whether a device is skipped and why. One rule for the final check, estimates and explanations.

Statements over many devices use the database's `skip_reason` (migration 31), which is this rule except for the
content. A property test proves them equal.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pushkeeper.core.delivery.device_status import LastStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pushkeeper.core.model import Content, Platform


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
    NO_CONTENT = "no_content"  # the message has no content for this platform
    NO_KEYS = "no_keys"  # the browser's encryption keys are not stored
    NO_ROUTE = "no_route"  # the workspace has no credentials for this platform, app and environment


class Device(Protocol):
    """What decides about a device and its person.

    `is_theirs`: the device still belongs to the recipient. `same_phone`: the recipient has the same phone under a
    later token.
    """

    @property
    def is_theirs(self) -> bool: ...
    @property
    def status(self) -> LastStatus: ...
    @property
    def platform(self) -> Platform: ...
    @property
    def unsubscribed(self) -> bool: ...
    @property
    def channel_off(self) -> bool: ...
    @property
    def no_permission(self) -> bool: ...
    @property
    def same_phone(self) -> bool: ...


class Message(Protocol):
    """What of a message decides; `content` is None when it cannot be read, `platforms` when it is for all."""

    @property
    def content(self) -> Content | None: ...
    @property
    def send_to_unsubscribed(self) -> bool: ...
    @property
    def skip_without_permission(self) -> bool: ...
    @property
    def one_per_phone(self) -> bool: ...
    @property
    def platforms(self) -> Collection[str] | None: ...


def skip_reason(known: str | None, platform: Platform, content: Content | None) -> SkipReason | None:
    """The first reason to skip an existing device, given the one that the database found; None to send."""
    if known is not None:
        return SkipReason(known)
    if content is not None and not content.has_content_for(platform):
        return SkipReason.NO_CONTENT
    return None


def skip_reasons(device: Device, message: Message | None) -> Iterator[SkipReason]:
    """Every reason not to send to a device that is there, the first first; without a message those that any would meet."""
    if not device.is_theirs:
        yield SkipReason.MOVED
    if device.status is LastStatus.SUPPRESSED:
        yield SkipReason.SUPPRESSED
    if message is None:
        return
    for reason in preferences(device):
        if respects(message, reason):
            yield reason
    if message.platforms is not None and device.platform.value not in message.platforms:
        yield SkipReason.OTHER_PLATFORM
    elif (of_content := skip_reason(None, device.platform, message.content)) is not None:
        yield of_content


def preferences(device: Device) -> Iterator[SkipReason]:
    """What the person and the phone say against pushes, whether or not a message respects it."""
    if device.unsubscribed:
        yield SkipReason.UNSUBSCRIBED
    if device.channel_off:
        yield SkipReason.CHANNEL_OFF
    if device.no_permission:
        yield SkipReason.NO_PERMISSION
    if device.same_phone:
        yield SkipReason.SAME_PHONE


def respects(message: Message | None, preference: SkipReason) -> bool:
    """Whether a message is not sent for that."""
    if message is None:
        return False
    match preference:
        case SkipReason.UNSUBSCRIBED | SkipReason.CHANNEL_OFF:
            return not message.send_to_unsubscribed
        case SkipReason.NO_PERMISSION:
            return message.skip_without_permission
        case SkipReason.SAME_PHONE:
            return message.one_per_phone
    return False
