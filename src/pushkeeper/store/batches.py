"""Batches: the queue that workers claim from and settle into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

import msgspec

from pushkeeper.core import filter_sql
from pushkeeper.core.model import Content, DeviceId, IdKind, PersonId, Platform, RouteId, Token, WorkspaceId
from pushkeeper.core.status import LastStatus
from pushkeeper.core.wording import Wording
from pushkeeper.store.database import columns, load_queries

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pushkeeper.core.filter import Node
    from pushkeeper.store.database import Connection, Database, Row

SQL = load_queries("batches")


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to settle a batch, for as long as the lease is renewed."""

    batch_id: int
    claim_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedBatch:
    """One message for the devices listed, and how often they were attempted before."""

    claim: Claim
    workspace_id: WorkspaceId
    message_id: UUID
    priority: int
    attempt: int
    first_attempt_at: datetime
    due_at: datetime
    targets: tuple[Target, ...]


class StandingDevice(msgspec.Struct, frozen=True, gc=False):
    """A device as it stands when its batch is claimed."""

    # Structs, as there are two for each push: a dataclass costs ten times as much to make.
    person_id: PersonId
    token: Token
    id_kind: IdKind
    platform: Platform
    app: str
    environment: str
    status: LastStatus
    generation: int
    registered_at: datetime


class Target(msgspec.Struct, frozen=True, gc=False):
    """A device that a batch is for, the person it was planned for, and the device now (None when it is gone)."""

    device_id: DeviceId
    planned_for: PersonId
    unsubscribed: bool
    device: StandingDevice | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageToSend:
    """What a message says.

    Attributes:
        content: None when what is stored cannot be read.
        wording: what of it is not the same to everybody; None when all is.
        platforms: those that it is for; None for all.
        stop_reason: why it is not sent on.
    """

    message_id: UUID
    content: Content | None
    send_to_unsubscribed: bool
    expires_at: datetime
    wording: Wording | None = None
    platforms: tuple[str, ...] | None = None
    stop_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeue:
    """Devices that become a new batch: due again, in the lane of their route (0: not known)."""

    batch: ClaimedBatch
    targets: tuple[tuple[DeviceId, PersonId], ...]
    due_at: datetime
    attempt: int
    lane: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many devices a worker can take: in all, of what is not urgent, and of lanes that are not free for all."""

    devices: int
    not_urgent: int
    lanes: Mapping[RouteId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be cut into batches: which message, how urgent, when due, and which lane each kind of device is for.

    Attributes:
        audience: the people whose devices they are to be; None: everybody's.
    """

    workspace_id: WorkspaceId
    message_id: UUID
    priority: int
    due_at: datetime
    lanes: Mapping[Address, RouteId]
    audience: Node | None = None

    def lane_columns(self) -> list[list[object]]:
        return columns([(a.platform.value, a.app, a.environment, lane) for a, lane in self.lanes.items()], 4)


class Address(NamedTuple):
    """What of a device decides its route."""

    platform: Platform
    app: str
    environment: str


async def claim(database: Database, *, room: Room, lease_s: float) -> list[ClaimedBatch]:
    """Claim batches that are due, until they fill the room, with every device as it stands now."""
    claim_id = uuid4()

    async def work(connection: Connection) -> tuple[list[Row], list[Row]]:
        claimed = await connection.fetch(
            SQL["claim"],
            claim_id,
            lease_s,
            room.devices,
            room.not_urgent,
            list(room.lanes),
            list(room.lanes.values()),
        )
        if not claimed:
            return [], []
        return claimed, await connection.fetch(SQL["targets"], [row["batch_id"] for row in claimed])

    claimed, rows = await database.in_transaction(work)
    targets: dict[int, list[Target]] = {row["batch_id"]: [] for row in claimed}
    for row in rows:
        targets[row["batch_id"]].append(_target(row))
    return [
        ClaimedBatch(
            claim=Claim(row["batch_id"], claim_id),
            workspace_id=row["workspace_id"],
            message_id=row["message_id"],
            priority=row["priority"],
            attempt=row["attempt"],
            first_attempt_at=row["first_attempt_at"],
            due_at=row["due_at"],
            targets=tuple(targets[row["batch_id"]]),
        )
        for row in claimed
    ]


# A look-up in a table is a third of what an enum's constructor takes.
_ID_KINDS = {kind.value: kind for kind in IdKind}
_PLATFORMS = {platform.value: platform for platform in Platform}
_STATUSES = {status.value: status for status in LastStatus}


def _target(row: Row) -> Target:
    (
        _,
        device_id,
        planned_for,
        person_id,
        token,
        id_kind,
        platform,
        app,
        environment,
        status,
        generation,
        registered_at,
        unsubscribed,
    ) = row.values()
    device = None
    if person_id is not None:
        device = StandingDevice(
            person_id,
            Token(token),
            _ID_KINDS[id_kind],
            _PLATFORMS[platform],
            app,
            environment,
            _STATUSES[status],
            generation,
            registered_at,
        )
    return Target(device_id, planned_for, unsubscribed, device)


async def messages(database: Database, message_ids: Collection[UUID]) -> dict[UUID, MessageToSend]:
    """What these messages say."""
    rows = await database.rows(SQL["messages"], list(message_ids))
    return {row["message_id"]: _message(row) for row in rows}


def _message(row: Row) -> MessageToSend:
    known = dict(row)
    try:
        known["content"] = msgspec.convert(row["content"], Content)
        known["wording"] = msgspec.convert(row["wording"], Wording | None)
    except msgspec.ValidationError:
        known["content"] = known["wording"] = None
    return MessageToSend(**known)


async def addresses(database: Database, workspace: WorkspaceId) -> list[Address]:
    """The kinds of device that a workspace has, as far as they decide the route."""
    rows = await database.rows(SQL["addresses"], workspace)
    return [Address(Platform(row["platform"]), row["app"], row["environment"]) for row in rows]


async def plan(
    connection: Connection, what: Plan, *, after: DeviceId | None, page: int, size: int
) -> tuple[DeviceId | None, int]:
    """Cut the next page of a workspace's devices into batches of up to `size`.

    Returns the last device of the page, from which the next goes on, and how many there were; None after the last page.
    """
    condition, parameters = "true", list[object]()
    if what.audience is not None:
        of_people, parameters = filter_sql.condition(what.audience, first=12, now=datetime.now(UTC))
        condition = f"exists (select from people p where p.person_id = d.person_id and {of_people})"
    row = await connection.fetchrow(
        SQL["plan"].replace("{condition}", condition),
        what.workspace_id,
        what.message_id,
        what.priority,
        what.due_at,
        *what.lane_columns(),
        after or b"",
        page,
        size,
        *parameters,
    )
    assert row is not None  # noqa: S101 - an aggregate has a row
    return row["last"], row["devices"]


async def renew(database: Database, claims: Collection[Claim], *, lease_s: float) -> set[int]:
    """Keep claims for another lease and return the batches that are still ours."""
    rows = await database.rows(SQL["renew"], *_columns(claims), lease_s)
    return {row["batch_id"] for row in rows}


async def still_claimed(connection: Connection, claims: Collection[Claim]) -> set[int]:
    """Which of these batches are still ours; they stay so until the transaction ends."""
    rows = await connection.fetch(SQL["still_claimed"], *_columns(claims))
    return {row["batch_id"] for row in rows}


async def release(database: Database, claims: Collection[Claim]) -> None:
    """Give claims back for anybody to take up at once."""
    await database.rows(SQL["release"], *_columns(claims))


async def shrink(connection: Connection, batch_id: int, targets: Sequence[tuple[DeviceId, PersonId]]) -> None:
    """Leave in a batch the devices that are not settled yet."""
    await connection.execute(SQL["shrink"], batch_id, *columns(targets, 2))


async def delete(connection: Connection, batch_ids: Collection[int]) -> None:
    """Take batches off the queue: all of each is settled."""
    await connection.execute(SQL["delete"], list(batch_ids))


async def requeue(connection: Connection, new: Requeue) -> None:
    """Put devices back into the queue, or aside, as a batch of their own."""
    await connection.execute(
        SQL["requeue"],
        new.batch.workspace_id,
        new.batch.message_id,
        new.batch.priority,
        new.due_at,
        new.attempt,
        new.batch.first_attempt_at,
        *columns(new.targets, 2),
        new.lane,
    )


async def next_due_s(database: Database, *, closed: Collection[RouteId]) -> float | None:
    """Seconds until something is due in a lane that is not closed, negative when it is already; None when nothing is."""
    seconds: float | None = await database.value(SQL["next_due"], list(closed))
    return seconds


async def take_expired_out_of_lanes(database: Database) -> None:
    """Let what expired while its lane was paused be claimed, and so settled as expired."""
    await database.rows(SQL["out_of_lane"])


def _columns(claims: Collection[Claim]) -> list[list[object]]:
    return columns([(claim.batch_id, claim.claim_id) for claim in claims], 2)


async def drop_empty(database: Database, claims: Collection[Claim]) -> None:
    """Take batches off the queue that turned out to be for no device at all; of whom that was, there is a record."""
    await database.rows(SQL["drop_empty"], *_columns(claims))
