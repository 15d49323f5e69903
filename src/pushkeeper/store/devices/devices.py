"""Devices: settled, deleted, read; each change with its line of history."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.model import (
    Browser,
    DeviceId,
    Environment,
    IdKind,
    PersonId,
    Platform,
    RouteId,
    Token,
    TokenShape,
    WorkspaceId,
    device_id,
    token_shape,
)
from pushkeeper.store.db.database import GONE_CHANNEL, columns, storable
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row

SQL = load_queries(__name__)

_TOLD_AT_ONCE = 200  # a NOTIFY may say 8,000 bytes


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A device as its app registers it; `app` and `environment` are None when unknown.

    `attributes` merge into those that the same person's device has, and None removes one. `dropped_attributes` are the names of
    those that cannot be kept, each with the reason. `must_register` says that a device which would have more attributes than
    it may is registered all the same, with those that it has.

    `browser` has the keys of a browser's subscription until they are sealed: then `browser_keys` are those, and `vapid_key` is
    the id of the VAPID key that it subscribed with, None where it does not say.
    """

    token: Token
    platform: Platform
    last_used: datetime
    id_kind: IdKind = IdKind.TOKEN
    app: str | None = None
    environment: Environment | None = None
    attributes: dict[str, Any] = {}
    dropped_attributes: dict[str, str] = {}
    must_register: bool = False
    request_id: str = ""
    browser: Browser | None = None
    browser_keys: bytes | None = None
    vapid_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device as stored."""

    device_id: DeviceId
    workspace_id: WorkspaceId
    person_id: PersonId
    token: Token
    id_kind: IdKind
    platform: Platform
    app: str
    environment: str
    attributes: dict[str, Any]
    status: LastStatus
    strikes: int
    generation: int
    created_at: datetime
    registered_at: datetime
    last_used: datetime
    dropped_attributes: dict[str, str] = field(default_factory=dict)

    @property
    def shape(self) -> TokenShape:
        """The shape of its token."""
        return token_shape(self.platform, self.token)


class SettleEvent(StrEnum):
    """What a push's outcome is to its device; an outcome that is none of these does not concern it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    REFUSED_AS_STALE = "refused_as_stale"


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The outcome of one push, for the generation of the device that it was sent to.

    `definite`: the provider's rejection reports the device as gone.
    """

    workspace_id: WorkspaceId
    device_id: DeviceId
    generation: int
    event: SettleEvent
    definite: bool = False
    message_id: UUID
    provider: str
    provider_status: int | None = None
    provider_reason: str = ""
    route_id: RouteId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One event of a device, and its reason.

    Attributes:
        strikes: consecutive bounces after it; None in old lines.
        undone: a bounce that an operator reverted.
    """

    at: datetime
    event: str
    from_status: str | None
    to_status: str | None
    from_person_id: PersonId | None
    to_person_id: PersonId | None
    generation: int
    message_id: UUID | None
    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    request_id: str | None
    strikes: int | None
    undone: bool


async def settle(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """Apply outcomes to the devices whose generation is still the one they were sent to, in the order given."""
    waiting = list(settlements)
    while waiting:
        now: list[Settlement] = []
        later: list[Settlement] = []
        seen: set[DeviceId] = set()
        for settlement in waiting:
            (later if settlement.device_id in seen else now).append(settlement)
            seen.add(settlement.device_id)
        rows = [
            (
                s.workspace_id,
                s.device_id,
                s.generation,
                s.event.value,
                s.definite,
                s.message_id,
                s.provider,
                s.provider_status,
                storable(s.provider_reason),
                s.route_id,
            )
            for s in now
        ]
        await connection.execute(SQL["settle"], *columns(rows, 10))
        waiting = later


async def delete(
    connection: Connection,
    workspace: WorkspaceId,
    person: PersonId,
    *,
    only: DeviceId | None = None,
    request_id: str = "",
) -> int:
    """Delete a person's devices, or only the one of this token's key, and return how many there were."""
    gone = [
        row["device_id"] for row in await connection.fetch(SQL["delete"], workspace, person, only, request_id)
    ]
    await recall(connection, gone)
    return len(gone)


async def holders(connection: Connection, workspace: WorkspaceId, token: Token) -> list[PersonId]:
    """The people who have a device with this token: one, or several where tokens are shared."""
    rows = await connection.fetch(SQL["holders"], workspace, device_id(workspace, token), _digest(token))
    return [PersonId(row["person_id"]) for row in rows]


async def recall(connection: Connection, gone: Sequence[DeviceId]) -> None:
    """Notify workers at the commit, so that queued pushes to these devices for their previous owners don't leave."""
    for start in range(0, len(gone), _TOLD_AT_ONCE):
        keys = ",".join(key.hex() for key in gone[start : start + _TOLD_AT_ONCE])
        await connection.execute("select pg_notify($1, $2)", GONE_CHANNEL, keys)


async def move(
    connection: Connection, workspace: WorkspaceId, former: PersonId, person: PersonId, *, request_id: str
) -> None:
    """Give all devices of one person to another, with their statuses."""
    await connection.execute(SQL["move"], workspace, former, person, request_id)


async def of_person(database: Database, workspace: WorkspaceId, person: PersonId) -> list[Device]:
    """A person's devices, the last used first."""
    return (await of_people(database, workspace, [person])).get(person, [])


async def of_people(
    database: Database, workspace: WorkspaceId, people: Sequence[PersonId]
) -> dict[PersonId, list[Device]]:
    """The devices of people, each person's last used one first; people without any are missing."""
    found: dict[PersonId, list[Device]] = {}
    for row in await database.of(workspace).rows(SQL["of_people"], workspace, list(people)):
        found.setdefault(row["person_id"], []).append(as_device(row))
    return found


async def read(
    database: Database, workspace: WorkspaceId, token: Token, person: PersonId | None = None
) -> Device | None:
    """The device of this token, of this person if one is named; of several who share it, the last used."""
    row = await database.of(workspace).row(
        SQL["read"], workspace, device_id(workspace, token), _digest(token), person
    )
    return None if row is None else as_device(row)


def _digest(token: Token) -> str:
    """The keys of shared devices."""
    return hashlib.md5(token.value.encode(), usedforsecurity=False).hexdigest()


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of devices; None is no condition.

    Attributes:
        used_since, used_before: bounds of `last_used`, the first inclusive.
        attribute: its name and accepted values.
    """

    status: LastStatus | None = None
    platform: Platform | None = None
    app: str | None = None
    used_since: datetime | None = None
    used_before: datetime | None = None
    attribute: tuple[str, tuple[str | float | bool, ...]] | None = None


async def search(
    database: Database, workspace: WorkspaceId, wanted: Search, *, after: bytes, limit: int
) -> list[Device]:
    """The devices that are so and whose keys come after this one, in their order."""
    name, values = wanted.attribute or (None, ())
    rows = await database.of(workspace).rows(
        SQL["search"],
        workspace,
        after,
        wanted.status,
        wanted.platform,
        wanted.app,
        wanted.used_since,
        wanted.used_before,
        name,
        list(values),
        limit,
    )
    return [as_device(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class PushLine:
    """The outcome of a push to a device."""

    message_id: UUID
    ending: str
    reason: str
    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    attempts: int
    settled_at: datetime


async def pushes(database: Database, device: Device, *, limit: int) -> list[PushLine]:
    """Outcomes of pushes to a device since its person has it, newest message first."""
    own = database.of(device.workspace_id)
    rows = await own.rows(SQL["pushes"], device.workspace_id, device.person_id, device.device_id, limit)
    return [PushLine(**row) for row in rows]


async def history(
    database: Database, workspace: WorkspaceId, token: Token, person: PersonId | None = None, *, limit: int
) -> list[HistoryLine]:
    """What happened to the device of this token, the newest first; it outlives the device.

    Of a token that several share, it is what happened to the device of this person, or of the last who used it.
    """
    if person is None and (found := await read(database, workspace, token)) is not None:
        person = found.person_id
    rows = await database.of(workspace).rows(
        SQL["history"], workspace, device_id(workspace, token), limit, person
    )
    return [HistoryLine(**row) for row in rows]


def as_device(row: Row) -> Device:
    """The device of a row with all of its columns."""
    facts = dict(row)
    facts["token"] = Token(facts["token"])
    facts["id_kind"] = IdKind(facts["id_kind"])
    facts["platform"] = Platform(facts["platform"])
    facts["status"] = LastStatus(facts["status"])
    return Device(**facts)


async def held(
    connection: Connection, asked: Sequence[tuple[WorkspaceId, DeviceId, PersonId]]
) -> dict[tuple[DeviceId, PersonId], DeviceId]:
    """People's devices by the keys of tokens, locked until the transaction ends; unknown ones are missing."""
    rows = await connection.fetch(SQL["held"], *columns(asked, 3))
    return {(row["key"], row["person_id"]): row["device_id"] for row in rows}
