"""Explanations: everything stored about a person's devices and one message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.broadcasts.schedule import Schedule
from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.explain import facts
from pushkeeper.core.filters.evaluate import DeviceFacts, PerformedEvent, PersonFacts
from pushkeeper.core.filters.nodes import Unit, events_in
from pushkeeper.core.identity import cio_id
from pushkeeper.core.model import Content, DeviceId, PersonId, Platform, Token, message_day
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Row

SQL = load_queries(__name__)

MOST_DEVICES = 50
_LINES = 50
_EVENTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person, and what filters ask of them."""

    told: facts.Person
    attributes: Mapping[str, Any]
    segments: Collection[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device, and what filters ask of it."""

    device_id: DeviceId
    told: facts.Device
    facts: DeviceFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message, and the audience of its broadcast: a filter with the saved audiences it refers to, as of planning.

    Attributes:
        message_id: None before its broadcast begins.
    """

    message_id: UUID | None
    told: facts.Message
    person_id: PersonId | None
    audience: Any
    unit: Unit
    saved: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvent:
    """What of a message happened at devices, by their keys; what an app told without naming a device is under the empty key."""

    pushes: Mapping[DeviceId, facts.Push] = field(default_factory=dict)
    waiting: Mapping[DeviceId, facts.QueuedPush] = field(default_factory=dict)
    held: Mapping[DeviceId, str] = field(default_factory=dict)
    reports: Mapping[DeviceId, Mapping[str, datetime]] = field(default_factory=dict)


async def person(database: Database, workspace: WorkspaceId, person_id: PersonId) -> Person | None:
    """A person."""
    row = await database.of(workspace).row(SQL["person"], workspace, person_id)
    if row is None:
        return None
    told = facts.Person(
        person_id=person_id,
        known_by={**row["known_by"], "cio_id": cio_id(person_id)},
        unsubscribed=row["unsubscribed"],
        channel_off=row["channel_off"],
        created_at=row["created_at"],
    )
    return Person(told=told, attributes=row["attributes"], segments=frozenset(row["segments"]))


async def events(
    database: Database, workspace: WorkspaceId, person_id: PersonId, names: Collection[str]
) -> list[PerformedEvent]:
    """What a person did of these things."""
    if not names:
        return []
    rows = await database.of(workspace).rows(SQL["events"], workspace, person_id, list(names), _EVENTS)
    return [PerformedEvent(row["name"], row["happened_at"]) for row in rows]


async def devices(
    database: Database, workspace: WorkspaceId, person_id: PersonId | None, keys: Collection[DeviceId]
) -> list[Device]:
    """The devices of a person, the last used first, and those of these keys; fifty at most."""
    rows = await database.of(workspace).rows(SQL["devices"], workspace, person_id, list(keys), MOST_DEVICES)
    return [_device(row) for row in rows]


async def asked_by(
    database: Database, workspace: WorkspaceId, person_id: PersonId, node: Node
) -> tuple[PersonFacts, dict[DeviceId, DeviceFacts]]:
    """The values that a filter needs of a person, and of each of their devices; nothing of a deleted person."""
    about = await person(database, workspace, person_id)
    own = {one.device_id: one.facts for one in await devices(database, workspace, person_id, ())}
    known = PersonFacts(
        identifiers={} if about is None else about.told.known_by,
        attributes={} if about is None else about.attributes,
        segments=() if about is None else about.segments,
        devices=list(own.values()),
        events=await events(database, workspace, person_id, events_in(node)),
    )
    return known, own


async def once_theirs(database: Database, workspace: WorkspaceId, person_id: PersonId) -> list[DeviceId]:
    """The devices that a person had and may have no more, the last that they lost first."""
    rows = await database.of(workspace).rows(SQL["once_theirs"], workspace, person_id, MOST_DEVICES)
    return [row["device_id"] for row in rows]


async def history(
    database: Database, workspace: WorkspaceId, keys: Sequence[DeviceId]
) -> dict[DeviceId, list[facts.HistoryEvent]]:
    """The last lines of these devices' history, the newest first."""
    found: dict[DeviceId, list[facts.HistoryEvent]] = {key: [] for key in keys}
    for row in await database.of(workspace).rows(SQL["history"], workspace, list(keys), _LINES):
        line = dict(row)
        found[line.pop("device_id")].append(facts.HistoryEvent(**line))
    return found


async def message_of_broadcast(database: Database, workspace: WorkspaceId, number: int) -> Message | None:
    """The message of a broadcast, or what will be its message."""
    row = await database.of(workspace).row(SQL["of_broadcast"], workspace, number)
    return None if row is None else _message(row)


async def message(database: Database, workspace: WorkspaceId, message_id: UUID) -> Message | None:
    """A message."""
    row = await database.of(workspace).row(SQL["message"], workspace, message_id)
    return None if row is None else _message(row)


async def happening(
    database: Database,
    workspace: WorkspaceId,
    message_id: UUID,
    person_id: PersonId | None,
    keys: Sequence[DeviceId],
) -> DeliveryEvent:
    """What of a message happened at these devices, and at others that the person had then."""
    day = message_day(message_id)
    pushed = await database.of(workspace).rows(
        SQL["pushes"], workspace, day, message_id, list(keys), person_id
    )
    queued = await database.of(workspace).rows(SQL["waiting"], workspace, message_id, list(keys), person_id)
    held = await database.of(workspace).rows(SQL["held"], workspace, message_id, list(keys))
    reported = await database.of(workspace).rows(SQL["reports"], workspace, message_id, person_id)
    reports: dict[DeviceId, dict[str, datetime]] = {}
    for row in reported:
        reports.setdefault(row["device_id"], {})[row["metric"]] = row["at"]
    return DeliveryEvent(
        pushes={row["device_id"]: facts.Push(**_without_key(row)) for row in pushed},
        waiting={
            row["device_id"]: facts.QueuedPush(**{**_without_key(row), "claimed": bool(row["claimed"])})
            for row in queued
        },
        held={row["device_id"]: row["held"] for row in held},
        reports=reports,
    )


def _without_key(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "device_id"}


def _device(row: Row) -> Device:
    told = facts.Device(
        token=Token(row["token"]),
        person_id=row["person_id"],
        platform=Platform(row["platform"]),
        app=row["app"],
        environment=row["environment"],
        status=LastStatus(row["status"]),
        strikes=row["strikes"],
        failure_reason=row["failure_reason"],
        registered_at=row["registered_at"],
        last_used=row["last_used"],
        no_permission=row["no_permission"],
        same_phone=row["same_phone"],
        no_keys=row["no_keys"],
    )
    names = (
        "platform",
        "app",
        "environment",
        "strikes",
        "failure_reason",
        "created_at",
        "registered_at",
        "last_used",
    )
    own = {name: row[name] for name in names if row[name] is not None}
    return Device(
        device_id=row["device_id"],
        told=told,
        facts=DeviceFacts({**own, "last_status": row["status"]}, row["attributes"]),
    )


def _message(row: Row) -> Message:
    broadcast = None
    if row["broadcast_id"] is not None:
        schedule = msgspec.convert(row["schedule"], Schedule)
        broadcast = facts.Broadcast(
            number=row["broadcast_id"],
            state=row["state"],
            named=row["listed"] or row["device_ids"] is not None,
            due_at=row["pass_at"],
            started_at=row["started_at"],
            planned_at=row["planned_at"],
            paused_at=row["paused_at"],
            cancelled_at=row["cancelled_at"],
            skip_without_permission=row["skip_without_permission"],
            one_per_phone=row["one_per_phone"],
            zone=schedule.time_zone if schedule.by_zone else None,
        )
    try:
        content = msgspec.convert(row["content"], Content) if row["content"] else None
    except msgspec.ValidationError:
        content = None
    told = facts.Message(
        message_id="" if row["message_id"] is None else str(row["message_id"]),
        kind=row["kind"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        content=content,
        send_to_unsubscribed=row["send_to_unsubscribed"],
        platforms=None if row["platforms"] is None else tuple(row["platforms"]),
        stop_reason=row["stop_reason"],
        broadcast=broadcast,
    )
    return Message(
        message_id=row["message_id"],
        told=told,
        person_id=row["person_id"],
        audience=row["audience"],
        unit=Unit(row["unit"] or Unit.PERSON),
        saved=row["saved"] or {},
    )
