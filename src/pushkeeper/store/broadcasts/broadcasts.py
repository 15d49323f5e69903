"""Broadcasts: messages to many, from a draft to the last of their devices."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.broadcasts.schedule import AT_ONCE, Pass, Schedule
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.core.messages.personalize import Wording
from pushkeeper.core.model import Content, DeviceId, PersonId
from pushkeeper.store.db.database import HALT_CHANNEL, PLAN_CHANNEL, WORK_CHANNEL, columns, load_queries
from pushkeeper.store.delivery import queue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Connection, Database, Row

SQL = load_queries(__name__)

_LAST = (1 << 63) - 1


class BroadcastState(StrEnum):
    DRAFT = "draft"  # somebody made it, and nobody has started it
    SCHEDULED = "scheduled"  # it was started, and waits for its hour
    FETCHING = "fetching"  # whom it goes to is in a file elsewhere, which a worker is to read
    PLANNING = "planning"  # a worker cuts its audience into batches
    PLANNED = "planned"  # all of it is in the queue, or was
    CANCELLED = "cancelled"  # somebody ended it
    FAILED = "failed"  # it cannot be planned


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """A broadcast of a message: to whom, when, and how.

    Attributes:
        audience: a filter, as a tree or a text; None: everybody, or those who are named otherwise.
        unit: what the filter is read of.
        listed: it goes to the people in `message_people`.
        device_ids: it goes to these devices.
        file_url: where a file names the people.
        ignore_missing: of the file, who is not known is left out.
        passes: the moments at which it is due; none of a draft.
        per_s: the most pushes in a second.
        skip_without_permission: devices that tell of `push_enabled: false` are left out.
        one_per_phone: of several devices that are one phone, the last used alone is sent to.
        dry_run: push services are asked, and nothing is shown.
        once: its idempotency key, and a hash of what was asked by it.
    """

    workspace_id: WorkspaceId
    message_id: UUID
    state: BroadcastState
    template_id: int | None = None
    name: str = ""
    audience: Any = None
    unit: Unit = Unit.PERSON
    listed: bool = False
    device_ids: Sequence[DeviceId] | None = None
    file_url: str | None = None
    ignore_missing: bool = False
    schedule: Schedule = AT_ONCE
    passes: tuple[Pass, ...] = ()
    per_s: float | None = None
    skip_without_permission: bool = False
    one_per_phone: bool = False
    dry_run: bool = False
    once: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggered:
    """How a broadcast of a template stands, for how many devices it was planned so far, and why the last attempt failed."""

    broadcast_id: int
    message_id: UUID
    template_id: int | None
    state: str
    devices: int
    failure: str | None
    last_error: str | None
    created_at: datetime
    planned_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """A broadcast as it stands.

    Attributes:
        devices: for how many it was planned so far.
        last_device: how far the plan of this pass has come, in the order of the devices' keys.
        waiting: not all that was planned is settled.
        stop_reason: why its message is not sent on, where it is not.
        last_error: why the last of so many `attempts` at its plan failed, where there is another; None where it did not.
    """

    broadcast_id: int
    message_id: UUID
    template_id: int | None
    state: BroadcastState
    name: str
    audience: Any
    unit: Unit
    listed: bool
    device_ids: list[DeviceId] | None
    schedule: Schedule
    passes: tuple[Pass, ...]
    number: int
    pass_at: datetime | None
    per_s: float | None
    skip_without_permission: bool
    one_per_phone: bool
    dry_run: bool
    devices: int
    last_device: DeviceId
    failure: str | None
    preflight: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    planned_at: datetime | None
    paused_at: datetime | None
    cancelled_at: datetime | None
    once: str | None
    content: Content
    wording: Wording | None
    send_to_unsubscribed: bool
    expires_at: datetime
    stop_reason: str | None
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    waiting: bool

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to be sent."""
        ended = {BroadcastState.PLANNED, BroadcastState.CANCELLED, BroadcastState.FAILED}
        return self.state in ended and not self.waiting

    @property
    def shown_state(self) -> str:
        """In a word: draft, scheduled, sending, paused, sent, stopped, cancelled or failed."""
        if self.paused_at is not None:
            return "paused"
        if self.stop_reason is not None and self.state is not BroadcastState.CANCELLED:
            return "stopped"
        if self.state in {BroadcastState.FETCHING, BroadcastState.PLANNING, BroadcastState.PLANNED}:
            return "sent" if self.is_over else "sending"
        return self.state.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A broadcast while it is changed."""

    workspace_id: WorkspaceId
    broadcast_id: int
    message_id: UUID
    state: BroadcastState
    schedule: Schedule
    paused_at: datetime | None


async def insert(connection: Connection, new: New) -> int | None:
    """Keep a new broadcast, and return its number; None when another has its idempotency key.

    Whoever plans hears of it at the commit.
    """
    once, asked = new.once or (None, None)
    made: int | None = await connection.fetchval(
        SQL["insert"],
        new.workspace_id,
        new.message_id,
        new.template_id,
        new.state,
        new.name,
        new.audience,
        new.unit,
        new.listed,
        new.device_ids,
        new.file_url,
        new.ignore_missing,
        msgspec.to_builtins(new.schedule),
        msgspec.to_builtins(new.passes),
        new.passes[0].at if new.passes else None,
        new.per_s,
        new.skip_without_permission,
        new.one_per_phone,
        new.dry_run,
        once,
        asked,
    )
    await connection.execute(f"notify {PLAN_CHANNEL}")
    return made


async def change(connection: Connection, broadcast_id: int, new: New) -> None:
    """Let a draft that is locked be so: it says another message, to others, in another way."""
    before: UUID = await connection.fetchval(
        SQL["change"],
        new.workspace_id,
        broadcast_id,
        new.message_id,
        new.template_id,
        new.name,
        new.audience,
        new.unit,
        new.listed,
        new.device_ids,
        msgspec.to_builtins(new.schedule),
        new.per_s,
        new.skip_without_permission,
        new.one_per_phone,
        new.dry_run,
    )
    await connection.execute(SQL["forget"], new.workspace_id, before)


async def once(connection: Connection, workspace: WorkspaceId, key: str) -> tuple[int, bytes] | None:
    """The broadcast that was made by an idempotency key, and the hash of what was asked."""
    row = await connection.fetchrow(SQL["once"], workspace, key)
    return None if row is None else (row["broadcast_id"], row["asked"])


async def list_people(
    connection: Connection,
    workspace: WorkspaceId,
    message_id: UUID,
    named: Sequence[tuple[PersonId, dict[str, Any] | None]],
) -> None:
    """Name people for a message, with what is told to each alone."""
    await connection.execute(SQL["list_people"], workspace, message_id, *columns(named, 2))


async def known(
    connection: Connection, workspace: WorkspaceId, who: Sequence[Identifier]
) -> dict[tuple[str, str], PersonId]:
    """The people of these identifiers, by kind and key; one that nobody has is missing."""
    kept = [one.key for one in who if one.kind is not IdentifierKind.CIO_ID]
    by_cio_id = [one.person_id for one in who if one.person_id is not None]
    rows = await connection.fetch(SQL["known"], workspace, *columns(kept, 2), by_cio_id)
    return {(row["kind"], row["key"] or cio_id(row["person_id"])): row["person_id"] for row in rows}


async def known_devices(
    connection: Connection, workspace: WorkspaceId, keys: Sequence[DeviceId]
) -> dict[DeviceId, list[DeviceId]]:
    """The devices by the keys of their tokens, several where a token is shared; one that is nobody's is missing."""
    found: dict[DeviceId, list[DeviceId]] = {}
    for row in await connection.fetch(SQL["known_devices"], workspace, list(keys)):
        found.setdefault(row["key"], []).append(row["device_id"])
    return found


async def read(
    database: Database, workspace: WorkspaceId, template_id: int, broadcast_id: int
) -> Triggered | None:
    """One broadcast of a template."""
    row = await database.of(workspace).row(SQL["read"], workspace, template_id, broadcast_id)
    return None if row is None else Triggered(**row)


async def of_template(
    database: Database, workspace: WorkspaceId, template_id: int, *, before: int | None, limit: int
) -> list[Triggered]:
    """The broadcasts of a template that were started, before a number, the newest first."""
    rows = await database.of(workspace).rows(
        SQL["of_template"], workspace, template_id, before or _LAST, limit
    )
    return [Triggered(**row) for row in rows]


async def messages_of(
    database: Database, workspace: WorkspaceId, template_id: int, since: datetime, until: datetime
) -> list[UUID]:
    """The messages of a template's broadcasts that were started and made in this time."""
    rows = await database.of(workspace).rows(SQL["messages_of"], workspace, template_id, since, until)
    return [row["message_id"] for row in rows]


async def under_plan(database: Database, workspace: WorkspaceId, template_id: int) -> int:
    """How many broadcasts of a template are not planned yet."""
    found: int = await database.of(workspace).value(SQL["under_plan"], workspace, template_id)
    return found


async def of_workspace(
    database: Database, workspace: WorkspaceId, *, before: int | None, limit: int
) -> list[Broadcast]:
    """The broadcasts of a workspace before a number, the newest first."""
    found: list[Broadcast] = []
    before = before or _LAST
    while before is not None and (room := limit - len(found)) > 0:
        rows = await database.of(workspace).rows(SQL["all"], workspace, before, None, room)
        found += database.readable(
            rows, _broadcast, table="broadcasts", key="broadcast_id", workspace=workspace
        )
        before = rows[-1]["broadcast_id"] if len(rows) == room else None
    return found


async def one(database: Database, workspace: WorkspaceId, broadcast_id: int) -> Broadcast | None:
    """One broadcast."""
    row = await database.of(workspace).row(SQL["all"], workspace, _LAST, broadcast_id, 1)
    return None if row is None else _broadcast(row)


async def lock(connection: Connection, workspace: WorkspaceId, broadcast_id: int) -> Locked | None:
    """A broadcast, which nobody else changes, and nobody plans on, until the transaction ends."""
    row = await connection.fetchrow(SQL["lock"], workspace, broadcast_id)
    if row is None:
        return None
    schedule = msgspec.convert(row["schedule"], Schedule)
    return Locked(**{**row, "state": BroadcastState(row["state"]), "schedule": schedule})


async def is_waiting(connection: Connection, broadcast: Locked) -> bool:
    """Whether not all that was planned of a broadcast is settled, as whoever holds it sees it now."""
    found: bool = await connection.fetchval(SQL["is_waiting"], broadcast.workspace_id, broadcast.message_id)
    return found


async def start(connection: Connection, broadcast: Locked, passes: Sequence[Pass]) -> None:
    """Let a draft be due at these moments; whoever plans hears of it at the commit."""
    await connection.execute(SQL["start"], *_key(broadcast), msgspec.to_builtins(passes), passes[0].at)
    await connection.execute(f"notify {PLAN_CHANNEL}")


async def pause(connection: Connection, broadcast: Locked) -> None:
    """Let nothing more of it leave; workers hear of it at the commit."""
    await connection.execute(SQL["pause"], *_key(broadcast))
    await queue.park(connection, broadcast.workspace_id, broadcast.message_id)
    await connection.execute(f"notify {HALT_CHANNEL}")


async def resume(connection: Connection, broadcast: Locked) -> None:
    """Let it go on."""
    await connection.execute(SQL["resume"], *_key(broadcast))
    await _unpark(connection, broadcast, at_once=False)


async def cancel(connection: Connection, broadcast: Locked) -> None:
    """Let it be over: what is planned is settled as that, and workers hear of it at the commit."""
    await connection.execute(SQL["cancel"], *_key(broadcast))
    await _unpark(connection, broadcast, at_once=True)


async def _unpark(connection: Connection, broadcast: Locked, *, at_once: bool) -> None:
    await queue.unpark(connection, broadcast.workspace_id, broadcast.message_id, at_once=at_once)
    for channel in (HALT_CHANNEL, WORK_CHANNEL, PLAN_CHANNEL):
        await connection.execute(f"notify {channel}")


def _key(broadcast: Locked) -> tuple[WorkspaceId, int]:
    return broadcast.workspace_id, broadcast.broadcast_id


async def set_preflight(
    database: Database, workspace: WorkspaceId, broadcast: Broadcast, preflight: dict[str, Any]
) -> None:
    """Keep what was foreseen of it, unless it says another message by now or has begun."""
    await database.of(workspace).rows(
        SQL["set_preflight"], workspace, broadcast.broadcast_id, broadcast.message_id, preflight
    )


def _broadcast(row: Row) -> Broadcast:
    facts = dict(row)
    facts["number"] = facts.pop("pass")
    facts["state"] = BroadcastState(facts["state"])
    facts["unit"] = Unit(facts["unit"])
    facts["schedule"] = msgspec.convert(facts["schedule"], Schedule)
    facts["passes"] = msgspec.convert(facts["passes"], tuple[Pass, ...])
    facts["content"] = msgspec.convert(facts["content"], Content)
    facts["wording"] = msgspec.convert(facts["wording"], Wording | None)
    return Broadcast(**facts)
