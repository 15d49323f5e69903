"""Batches: the queue that workers claim from and settle into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec

from pushkeeper.core.model import Content, DeviceId, IdKind, PersonId, Platform, RouteId, Token, WorkspaceId
from pushkeeper.core.status import LastStatus
from pushkeeper.store.database import columns, load_queries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

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
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingDevice:
    """A device as it stands when its batch is claimed."""

    person_id: PersonId
    token: Token
    id_kind: IdKind
    platform: Platform
    app: str
    environment: str
    status: LastStatus
    generation: int
    registered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A device that a batch is for, the person it was planned for, and the device now (None when it is gone)."""

    device_id: DeviceId
    planned_for: PersonId
    unsubscribed: bool
    device: StandingDevice | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageToSend:
    message_id: UUID
    content: Content
    send_to_unsubscribed: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeue:
    """Devices that become a new batch: due again, or held (`held_reason`) until an operator releases it."""

    batch: ClaimedBatch
    targets: tuple[tuple[DeviceId, PersonId], ...]
    due_at: datetime
    attempt: int
    held_route_id: RouteId | None = None
    held_reason: str | None = None


async def claim(database: Database, *, devices: int, lease_s: float) -> list[ClaimedBatch]:
    """Claim batches that are due, until they hold about so many devices, with every device as it stands now."""
    claim_id = uuid4()

    async def work(connection: Connection) -> tuple[list[Row], list[Row]]:
        claimed = await connection.fetch(SQL["claim"], claim_id, lease_s, devices)
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
            targets=tuple(targets[row["batch_id"]]),
        )
        for row in claimed
    ]


def _target(row: Row) -> Target:
    device = None
    if row["person_id"] is not None:
        device = StandingDevice(
            person_id=row["person_id"],
            token=Token(row["token"]),
            id_kind=IdKind(row["id_kind"]),
            platform=Platform(row["platform"]),
            app=row["app"],
            environment=row["environment"],
            status=LastStatus(row["status"]),
            generation=row["generation"],
            registered_at=row["registered_at"],
        )
    return Target(
        device_id=row["device_id"],
        planned_for=row["planned_for"],
        unsubscribed=row["unsubscribed"],
        device=device,
    )


async def messages(database: Database, message_ids: Collection[UUID]) -> dict[UUID, MessageToSend]:
    """What these messages say."""
    rows = await database.rows(SQL["messages"], list(message_ids))
    return {
        row["message_id"]: MessageToSend(**{**row, "content": msgspec.convert(row["content"], Content)})
        for row in rows
    }


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
        new.held_route_id,
        new.held_reason,
    )


async def next_due_s(database: Database) -> float | None:
    """Seconds until something is due or a lease runs out, negative when it is already; None when nothing waits."""
    seconds: float | None = await database.value(SQL["next_due"])
    return seconds


def _columns(claims: Collection[Claim]) -> list[list[object]]:
    return columns([(claim.batch_id, claim.claim_id) for claim in claims], 2)


async def drop_empty(database: Database, claims: Collection[Claim]) -> None:
    """Take batches off the queue that turned out to be for no device at all."""

    async def work(connection: Connection) -> None:
        await delete(connection, await still_claimed(connection, claims))

    await database.in_transaction(work)
