"""What an explanation is made from, and its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.model import Content, PersonId, Platform, Token, TokenShape, token_shape


class StepName(StrEnum):
    """The subject of a step, in the order of the checks."""

    KNOWN = "known"  # whether the person and the device are there
    AUDIENCE = "audience"  # whether the message was for them
    OWNER = "owner"  # whose the device is, and was
    STATUS = "status"  # the push service's last response, and the resulting status
    PREFERENCE = "preference"  # the preferences of the person and the phone
    CONTENT = "content"  # whether the message says something to it
    ROUTE = "route"  # whether there is a route, and whether it works
    PLAN = "plan"  # whether the message came to it, and when it is due
    ATTEMPTS = "attempts"  # the request and response of the push service
    REPORTS = "reports"  # what the app reported


class TraceStep(msgspec.Struct, frozen=True, kw_only=True):
    """One fact. `so` is whether it lets the push through; None where it only tells."""

    step: StepName
    so: bool | None
    said: str
    at: datetime | None = None
    facts: Mapping[str, Any] = {}


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """The person: their identifiers and preferences."""

    person_id: PersonId
    known_by: Mapping[str, str]
    unsubscribed: bool
    channel_off: bool
    created_at: datetime


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """The current state of a device. `no_permission`: the app may show no push; `same_phone`: its phone has a later token.

    `no_keys`: it is a browser that was registered without the keys of its subscription.
    """

    token: Token
    person_id: PersonId
    platform: Platform
    app: str
    environment: str
    status: LastStatus
    strikes: int
    failure_reason: str | None
    registered_at: datetime
    last_used: datetime
    no_permission: bool
    same_phone: bool
    no_keys: bool = False

    @property
    def shape(self) -> TokenShape:
        """The shape of its token."""
        return token_shape(self.platform, self.token)


class HistoryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the device's history."""

    at: datetime
    event: str
    from_status: str | None
    to_status: str | None
    from_person: PersonId | None
    to_person: PersonId | None
    message: str | None
    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    undone: bool


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of the message at the device, with the provider's own words."""

    ending: str
    reason: str
    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    provider_id: str | None
    detail: str | None
    attempts: int
    settled_at: datetime


class QueuedPush(msgspec.Struct, frozen=True, kw_only=True):
    """What of the message is still in the queue for the device."""

    due_at: datetime
    parked: bool
    claimed: bool
    attempt: int


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The device's route, and whether it works."""

    name: str
    accepted_at: datetime | None
    paused_at: datetime | None
    pause_reason: str | None


class NoRoute(msgspec.Struct, frozen=True):
    """There is no way to the device."""

    reason: str


class Broadcast(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a broadcast that matter for a delivery.

    `named`: it goes to people or devices by name, not by a filter. `zone`: that of devices whose own is not known; None
    where it does not depend on their zones when a push is due.
    """

    number: int
    state: str
    named: bool
    due_at: datetime | None
    started_at: datetime | None
    planned_at: datetime | None
    paused_at: datetime | None
    cancelled_at: datetime | None
    skip_without_permission: bool = False
    one_per_phone: bool = False
    zone: str | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What of a message decides; `content` is None when it is not kept, or cannot be read."""

    message_id: str
    kind: str
    created_at: datetime
    expires_at: datetime
    content: Content | None
    send_to_unsubscribed: bool
    platforms: tuple[str, ...] | None
    stop_reason: str | None
    broadcast: Broadcast | None

    @property
    def skip_without_permission(self) -> bool:
        """Whether it is not sent to devices that may show no push."""
        return self.broadcast is not None and self.broadcast.skip_without_permission

    @property
    def one_per_phone(self) -> bool:
        """Whether it is sent to the last token of a phone alone."""
        return self.broadcast is not None and self.broadcast.one_per_phone


class EligibilityDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device as `core.delivery.eligibility` asks for it: with what its person says, and whether it is theirs."""

    is_theirs: bool
    status: LastStatus
    platform: Platform
    unsubscribed: bool
    channel_off: bool
    no_permission: bool
    same_phone: bool


class DeviceEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one device and the message.

    Attributes:
        device: None when it is deleted.
        history: the newest first.
        clause: the part of the audience's filter that does not match now; None if it matches, or there is no filter.
        held: why the provider's rejection is on hold.
        reports: when the app first reported each metric.
        zone: the time zone of the device, else of its person; None if neither has one.
    """

    key: str
    device: Device | None
    history: Sequence[HistoryEvent] = ()
    clause: str | None = None
    route: Route | NoRoute
    push: Push | None = None
    waiting: QueuedPush | None = None
    held: str | None = None
    reports: Mapping[str, datetime] = {}
    zone: str | None = None


class SendingPause(msgspec.Struct, frozen=True, kw_only=True):
    """Since when all sending of the workspace is paused, and why."""

    paused_at: datetime
    reason: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known. `person` is None when nobody has that identifier, or the device has no owner."""

    now: datetime
    person: Person | None
    message: Message | None
    devices: Sequence[DeviceEvidence]
    pause: SendingPause | None = None
