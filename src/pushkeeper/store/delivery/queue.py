"""Batches: the queue that workers claim from and settle into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec

from pushkeeper.core.broadcasts.schedule import AT_ONCE, Schedule
from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.messages.personalize import PersonalizedContent
from pushkeeper.core.model import (
    Content,
    DeviceId,
    IdKind,
    PersonId,
    Platform,
    RouteId,
    Token,
    TokenShape,
    WorkspaceId,
    token_shape,
)
from pushkeeper.observability.isolation import each
from pushkeeper.store.db.commits import Transaction
from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.db.unreadable import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row

SQL = load_queries(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to settle a batch, while the lease is renewed."""

    workspace_id: WorkspaceId
    batch_id: int
    claim_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedBatch:
    """One message for the devices listed, and how often they were attempted before.

    `has_slot` says that it is of a broadcast with a bounded rate.
    """

    claim: Claim
    workspace_id: WorkspaceId
    message_id: UUID
    priority: int
    attempt: int
    first_attempt_at: datetime
    due_at: datetime
    targets: tuple[Target, ...]
    has_slot: bool = False


class ClaimedDevice(msgspec.Struct, frozen=True, gc=False):
    """A device at the time its batch was claimed; a browser's subscription keys are encrypted."""

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
    browser_keys: bytes | None = None
    vapid_key: str | None = None

    @property
    def shape(self) -> TokenShape:
        """The shape of its token."""
        return token_shape(self.platform, self.token)


class Target(msgspec.Struct, frozen=True, gc=False):
    """A device that a batch is for.

    Attributes:
        planned_for: the person it was planned for.
        device: its current state; None when it is deleted.
        skip: the first reason to skip it that the database knows (`core/delivery/eligibility.py`); or `unreadable` of a
            device whose row cannot be read.
        zone: the time zone of the device, else of its person; only if the message needs it.
    """

    device_id: DeviceId
    planned_for: PersonId
    device: ClaimedDevice | None
    skip: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageToSend:
    """A message to send.

    Attributes:
        content: None when what is stored cannot be read.
        wording: what of it is not the same to everybody; None when all is.
        stop_reason: why it is not sent on.
        cancelled, paused: whether somebody ended it, or lets it or all of its workspace wait.
        dry_run: push services are asked, and nothing is shown.
        schedule: of a broadcast, its hours.
    """

    message_id: UUID
    content: Content | None
    expires_at: datetime
    wording: PersonalizedContent | None = None
    stop_reason: str | None = None
    cancelled: bool = False
    paused: bool = False
    dry_run: bool = False
    schedule: Schedule = AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeue:
    """Devices that become a new batch: due again, in the lane of their route (0: not known).

    `takes_new_slot`: they use new slots of their broadcast's rate.
    """

    batch: ClaimedBatch
    targets: tuple[tuple[DeviceId, PersonId], ...]
    due_at: datetime
    attempt: int
    lane: int = 0
    takes_new_slot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLimits:
    """How many devices a worker can take: in all, of what is not urgent, and of lanes that are not free for all."""

    devices: int
    not_urgent: int
    lanes: Mapping[RouteId, int]


async def claim(database: Database, *, room: ClaimLimits, lease_s: float) -> list[ClaimedBatch]:
    """Claim due batches, until they fill the room, with the current state of every device."""
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
        claimed = await _with_slots(connection, claimed)
        if not claimed:
            return [], []
        return claimed, await connection.fetch(SQL["targets"], *_keys(claimed))

    claimed, rows = await database.in_transaction(work)
    targets: dict[int, list[Target]] = {row["batch_id"]: [] for row in claimed}
    workspaces = {row["batch_id"]: row["workspace_id"] for row in claimed}

    def unreadable(row: Row, error: Exception) -> Target:
        database.unreadable.note(workspaces[row["batch_id"]], "devices", row["device_id"], error)
        return Target(row["device_id"], row["planned_for"], None, UNREADABLE)

    for row, target in zip(rows, each(rows, _target, unreadable), strict=True):
        targets[row["batch_id"]].append(target)
    return [
        ClaimedBatch(
            claim=Claim(row["workspace_id"], row["batch_id"], claim_id),
            workspace_id=row["workspace_id"],
            message_id=row["message_id"],
            priority=row["priority"],
            attempt=row["attempt"],
            first_attempt_at=row["first_attempt_at"],
            due_at=row["due_at"],
            targets=tuple(targets[row["batch_id"]]),
            has_slot=row["slot_at"] is not None,
        )
        for row in claimed
    ]


async def _with_slots(connection: Connection, claimed: list[Row]) -> list[Row]:
    """What of it may go now: a batch of a bounded rate that comes late takes its broadcast's next slot, and waits for it."""
    slotted = [row for row in claimed if row["slot_at"] is not None]
    if not slotted:
        return claimed
    waiting = {
        row["batch_id"] for row in await connection.fetch(SQL["take_slots"], *_keys(slotted)) if row["waits"]
    }
    return [row for row in claimed if row["batch_id"] not in waiting]


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
        browser_keys,
        vapid_key,
        skip,
        zone,
    ) = row.values()
    device = None
    if person_id is not None:
        device = ClaimedDevice(
            person_id,
            Token(token),
            _ID_KINDS[id_kind],
            _PLATFORMS[platform],
            app,
            environment,
            _STATUSES[status],
            generation,
            registered_at,
            browser_keys,
            vapid_key,
        )
    return Target(device_id, planned_for, device, skip, zone)


def _keys(rows: list[Row]) -> list[list[object]]:
    return columns([(row["workspace_id"], row["batch_id"]) for row in rows], 2)


async def messages(
    database: Database, keys: Collection[tuple[WorkspaceId, UUID]]
) -> dict[UUID, MessageToSend]:
    """What these messages say."""
    rows = await database.rows(SQL["messages"], *columns(list(keys), 2))
    whose = {message_id: workspace for workspace, message_id in keys}
    return {row["message_id"]: _message(database, whose[row["message_id"]], row) for row in rows}


def _message(database: Database, workspace: WorkspaceId, row: Row) -> MessageToSend:
    known = dict(row)
    try:
        known["content"] = msgspec.convert(row["content"], Content)
        known["wording"] = msgspec.convert(row["wording"], PersonalizedContent | None)
        known["schedule"] = msgspec.convert(row["schedule"], Schedule) if row["schedule"] else AT_ONCE
    except msgspec.ValidationError as error:
        database.unreadable.note(workspace, "messages", row["message_id"], error)
        known |= {"content": None, "wording": None, "schedule": AT_ONCE}
    return MessageToSend(**known)


async def park(connection: Connection, workspace: WorkspaceId, message_id: UUID) -> None:
    """Stop claims of a message's batches."""
    await connection.execute(SQL["park"], workspace, message_id)


async def unpark(connection: Connection, workspace: WorkspaceId, message_id: UUID, *, at_once: bool) -> None:
    """Let a message's batches be claimed again: when they are due, or at once."""
    await connection.execute(SQL["unpark"], workspace, message_id, at_once)


async def halted(database: Database, keys: Collection[tuple[WorkspaceId, UUID]]) -> set[UUID]:
    """Which of these messages are cancelled or paused."""
    rows = await database.rows(SQL["halted"], *columns(list(keys), 2))
    return {row["message_id"] for row in rows}


async def renew(database: Database, claims: Collection[Claim], *, lease_s: float) -> set[int]:
    """Keep claims for another lease and return the batches that are still ours."""
    rows = await database.rows(SQL["renew"], *_columns(claims), lease_s)
    return {row["batch_id"] for row in rows}


async def still_claimed(
    connection: Connection, claims: Collection[Claim]
) -> tuple[set[int], Transaction | None]:
    """Which of these batches are still ours, until the transaction ends; and which transaction that is."""
    rows = await connection.fetch(SQL["still_claimed"], *_columns(claims))
    if not rows:
        return set(), None
    transaction = Transaction(number=rows[0]["number"], server_started_at=rows[0]["server_started_at"])
    return {row["batch_id"] for row in rows}, transaction


async def devices(connection: Connection, claims: Collection[Claim]) -> dict[int, set[DeviceId] | None]:
    """Which of these batches still exist, with any holder, with their devices if listed individually."""
    rows = await connection.fetch(SQL["devices"], *_columns(claims)[:2])
    return {row["batch_id"]: row["device_ids"] and set(row["device_ids"]) for row in rows}


async def release(database: Database, claims: Collection[Claim]) -> None:
    """Give claims back for anybody to take up at once."""
    await database.rows(SQL["release"], *_columns(claims))


async def shrink(connection: Connection, claim: Claim, targets: Sequence[tuple[DeviceId, PersonId]]) -> None:
    """Leave in a batch the devices that are not settled yet."""
    await connection.execute(SQL["shrink"], claim.workspace_id, claim.batch_id, *columns(targets, 2))


async def delete(connection: Connection, claims: Collection[Claim]) -> None:
    """Take batches off the queue: all of each is settled."""
    await connection.execute(SQL["delete"], *_columns(claims)[:2])


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
        new.takes_new_slot,
    )


async def next_due_s(database: Database, *, closed: Collection[RouteId]) -> float | None:
    """Seconds until something is due in a lane that is not closed, negative when it is already; None when nothing is."""
    seconds: float | None = await database.value(SQL["next_due"], list(closed))
    return seconds


async def take_expired_out_of_lanes(database: Database) -> None:
    """Let what expired while its lane or its workspace was paused be claimed, and so settled as expired."""
    await database.rows(SQL["out_of_lane"])


def _columns(claims: Collection[Claim]) -> list[list[object]]:
    return columns([(claim.workspace_id, claim.batch_id, claim.claim_id) for claim in claims], 3)


async def drop_empty(database: Database, claims: Collection[Claim]) -> None:
    """Remove batches that have no devices from the queue; a record keeps their people."""
    await database.rows(SQL["drop_empty"], *_columns(claims))
