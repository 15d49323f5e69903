"""Messages: queueing them, and their outcomes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from pushkeeper.core.model import (
    Content,
    DeviceId,
    PersonId,
    Platform,
    WorkspaceId,
    message_day,
    minted_at,
    uuid7,
)
from pushkeeper.store.db.database import WORK_CHANNEL, columns
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.messages.personalize import PersonalizedContent
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

LIVES = timedelta(days=28)  # FCM's default and longest
Pick = Literal["all", "last_used"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A transactional message for one person: all their devices, the last used one, or one that is named.

    Attributes:
        wording: what of it is not the same to everybody, if anything is.
        platforms: those that it is for, where not all.
        drafted: it waits until somebody sends it.
        retained: its content is kept after sending.
    """

    message_id: UUID
    workspace_id: WorkspaceId
    person_id: PersonId
    content: Content
    pick: Pick | DeviceId
    send_to_unsubscribed: bool
    send_at: datetime
    expires_at: datetime
    template_id: int | None = None
    wording: PersonalizedContent | None = None
    platforms: tuple[Platform, ...] | None = None
    drafted: bool = False
    retained: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRecord:
    """The outcome of a message at one device; `token` and `platform` are None if the device was deleted or moved."""

    device_id: DeviceId
    token: str | None
    platform: str | None
    ending: str
    reason: str
    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    detail: str | None
    attempts: int
    settled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """A message for one person. `waiting`: some devices are not processed; `held_reason`: why they wait.

    `is_text_retained`: `content` is the text that was sent, the same for everybody; texts rendered per recipient are
    not stored.
    """

    message_id: UUID
    kind: str
    content: Content
    created_at: datetime
    send_at: datetime
    template_id: int | None
    broadcast_id: int | None
    drafted: bool
    is_text_retained: bool
    waiting: bool
    held_reason: str | None
    pushes: tuple[PushRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCount:
    """How many pushes ended so, and what the push service had answered (nothing, when nothing was sent)."""

    provider: str | None
    provider_status: int | None
    provider_reason: str | None
    ending: str
    reason: str
    pushes: int


def new_id() -> UUID:
    """An id for a message of now: a UUIDv7."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


async def insert(connection: Connection, messages: Sequence[NewMessage]) -> None:
    """Write messages and their batches; workers are notified at the commit."""
    rows = [
        (
            m.message_id,
            m.workspace_id,
            "transactional",
            m.person_id,
            msgspec.to_builtins(m.content),
            m.send_to_unsubscribed,
            minted_at(m.message_id),
            m.send_at,
            m.expires_at,
            m.template_id,
            msgspec.to_builtins(m.wording),
            None if m.platforms is None else ",".join(m.platforms),
            m.drafted,
            m.retained,
        )
        for m in messages
    ]
    await connection.execute(SQL["insert"], *columns(rows, 14))
    picked = [
        (m.workspace_id, m.message_id, m.send_at, m.drafted, m.person_id, m.pick)
        for m in messages
        if isinstance(m.pick, str)
    ]
    if picked:
        await connection.execute(SQL["queue_for_person"], *columns(picked, 6))
    named = [
        (m.workspace_id, m.message_id, m.send_at, m.drafted, m.pick, m.person_id)
        for m in messages
        if isinstance(m.pick, bytes)
    ]
    if named:
        await connection.execute(SQL["queue_for_device"], *columns(named, 6))
    await connection.execute(f"notify {WORK_CHANNEL}")


async def count_malformed(
    connection: Connection, refused: Sequence[tuple[WorkspaceId, UUID, int, str]]
) -> list[tuple[UUID, str]]:
    """Count devices (workspace, message, how many, reason) whose providers called the message malformed.

    Returns the messages that stop by it, at three devices, each with the reason.
    """
    rows = await connection.fetch(SQL["count_malformed"], *columns(refused, 4))
    return [(row["message_id"], row["stop_reason"]) for row in rows if row["stopped"]]


async def delivery(
    database: Database, workspace: WorkspaceId, delivery_id: DeliveryId
) -> DeliveryRecord | None:
    """A message for one person."""
    message_id, person_id = delivery_id.message_id, delivery_id.person_id
    row = await database.of(workspace).row(SQL["delivery"], workspace, message_id, person_id)
    if row is None:
        return None
    day = message_day(message_id)
    records = await database.of(workspace).rows(SQL["pushes"], workspace, day, message_id, person_id)
    facts = {**row, "content": msgspec.convert(row["content"], Content)}
    return DeliveryRecord(**facts, pushes=tuple(PushRecord(**record) for record in records))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """So many messages before this one, made since a time and before another."""

    before: UUID
    since: datetime
    until: datetime
    limit: int


async def of_person(
    database: Database, workspace: WorkspaceId, person: PersonId, page: Page
) -> list[DeliveryId]:
    """The deliveries of a person, and of those who were merged into them, the newest message first."""
    bounds = (page.before, page.since, page.until, page.limit)
    rows = await database.of(workspace).rows(SQL["of_person"], workspace, person, *bounds)
    ids = database.delivery_ids
    return [ids.of(workspace, row["message_id"], PersonId(row["person_id"])) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveriesFilter:
    """A page of a workspace's deliveries after one of them, by creation time and outcome.

    Attributes:
        after_message, after_device: where the page before ended.
        metric: one that happened to each; None: any.
        template_id: their template; None: any.
        messages: their messages; None: any.
        drafts: only present and former drafts.
    """

    after_message: UUID
    after_device: bytes
    since: datetime
    until: datetime
    metric: str | None
    template_id: int | None
    drafts: bool
    limit: int
    messages: Sequence[UUID] | None = None


@dataclass(frozen=True, slots=True)
class ListedDelivery:
    """A delivery, and the device by which the next page finds on from it."""

    delivery_id: DeliveryId
    device_id: bytes


async def of_workspace(
    database: Database, workspace: WorkspaceId, wanted: DeliveriesFilter
) -> list[ListedDelivery]:
    """The deliveries of a workspace, the newest message first."""
    rows = await database.of(workspace).rows(
        SQL["of_workspace"],
        workspace,
        wanted.after_message,
        wanted.after_device,
        wanted.since,
        wanted.until,
        wanted.metric,
        wanted.template_id,
        wanted.drafts,
        wanted.limit,
        wanted.messages,
    )
    ids = database.delivery_ids
    return [
        ListedDelivery(ids.of(workspace, row["message_id"], PersonId(row["person_id"])), row["device_id"])
        for row in rows
    ]


async def release_draft(
    database: Database, workspace: WorkspaceId, message_id: UUID, lives: timedelta
) -> bool:
    """Let a draft be sent, to live so long from now, and say whether there was one that waits."""

    async def work(connection: Connection) -> bool:
        released = await connection.fetchval(SQL["release_draft"], workspace, message_id, lives)
        await connection.execute(f"notify {WORK_CHANNEL}")
        return released is not None

    return await database.of(workspace).in_transaction(work)


async def drop_draft(database: Database, workspace: WorkspaceId, message_id: UUID) -> bool:
    """Let a draft not be sent, and say whether there was one that waits."""
    return await database.of(workspace).value(SQL["drop_draft"], workspace, message_id) is not None


async def forget_contents(database: Database) -> None:
    """Forget what messages said that are over, and are not to be retained."""
    await database.rows(SQL["forget_contents"])


async def answers(database: Database, workspace: WorkspaceId, *, days: int) -> list[AnswerCount]:
    """Outcomes of the last days, most frequent first."""
    return [AnswerCount(**row) for row in await database.of(workspace).rows(SQL["answers"], workspace, days)]
