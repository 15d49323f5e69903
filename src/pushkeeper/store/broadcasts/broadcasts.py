"""Broadcasts: messages to many, from a draft to the last of their devices."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.broadcasts.schedule import AT_ONCE, Pass, Schedule
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.messages.personalize import PersonalizedContent
from pushkeeper.core.model import Content, DeviceId, PersonId
from pushkeeper.store.broadcasts import recipients
from pushkeeper.store.db.database import HALT_CHANNEL, PLAN_CHANNEL, WORK_CHANNEL
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.delivery import queue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row
    from pushkeeper.store.jobs import Claim

SQL = load_queries(__name__)

_LAST = (1 << 63) - 1
_ONE = SQL["broadcast"].replace("{which}", "b.broadcast_id = $2")
_LOCKED = SQL["broadcast"].replace("{which}", "b.broadcast_id = $2 for update of b")
_CLAIMED = SQL["broadcast"].replace(
    "{which}",
    "b.broadcast_id = $2 and b.claim_id = $3 and b.state in ('scheduled', 'planning') and b.paused_at is null for update of b",
)
_SOME = SQL["broadcast"].replace("{which}", "b.broadcast_id = any ($2::bigint[])")
_PAGE = SQL["broadcast"].replace(
    "{which}",
    "b.broadcast_id < $2 and ($3::bigint is null or b.template_id = $3 and b.state <> 'draft') "
    "and (not $5::boolean or b.started_at is not null) order by b.broadcast_id desc limit $4",
)


class BroadcastState(StrEnum):
    DRAFT = "draft"  # somebody made it, and nobody has started it
    SCHEDULED = "scheduled"  # it was started, and waits for its hour
    FETCHING = "fetching"  # its recipients are in a remote file, which a worker is to fetch
    PLANNING = "planning"  # a worker cuts its audience into batches
    PLANNED = "planned"  # all of it is in the queue, or was
    CANCELLED = "cancelled"  # somebody ended it
    FAILED = "failed"  # it cannot be planned


TO_BE_PLANNED = frozenset({BroadcastState.SCHEDULED, BroadcastState.FETCHING, BroadcastState.PLANNING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The definition of a broadcast: everything that its author decides, and may change while it is a draft.

    Each field is the column of its name.

    Attributes:
        wording: the parts of its content that differ per recipient.
        audience: a filter, as a tree or a text; None: everybody, or the listed recipients.
        unit: what the filter matches.
        listed: the recipients are in `broadcast_people`.
        device_ids: the recipients are these devices.
        file_url: the address of a file that names the people.
        ignore_missing: people in the file that do not exist are skipped.
        per_s: the most pushes per second.
        skip_without_permission: devices that report `push_enabled: false` are skipped.
        one_per_phone: of several devices that are one phone, only the last used one is sent to.
        dry_run: push services are asked, and nothing is shown.
    """

    name: str = ""
    template_id: int | None = None
    content: Content = Content()  # noqa: RUF009 - it cannot be changed
    wording: PersonalizedContent | None = None
    send_to_unsubscribed: bool = False
    audience: Any = None
    unit: Unit = Unit.PERSON
    listed: bool = False
    device_ids: Sequence[DeviceId] | None = None
    file_url: str | None = None
    ignore_missing: bool = False
    schedule: Schedule = AT_ONCE
    per_s: float | None = None
    skip_without_permission: bool = False
    one_per_phone: bool = False
    dry_run: bool = False

    def columns(self) -> dict[str, Any]:
        """The values of its columns."""
        values = {field.name: getattr(self, field.name) for field in fields(Definition)}
        return {**values, **{name: msgspec.to_builtins(values[name]) for name in _JSON}}


_JSON = ("content", "wording", "schedule")


class EstimateState(StrEnum):
    PENDING = "pending"  # a worker is to make it, or makes it
    DONE = "done"  # its figures are the broadcast's `preflight`
    FAILED = "failed"  # it is not tried any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate of what to expect of a broadcast; `reason` is why it failed, or why the last attempt did."""

    state: EstimateState
    asked_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast(Definition):
    """A broadcast: its definition and its progress.

    Attributes:
        version: 1, incremented by each change of its definition.
        message_id: None until it begins, fixed afterwards.
        saved: the saved audiences that it refers to, as of the start of planning; None before.
        passes: the moments at which parts of its audience are due, of which `number` is the current one; none of a draft.
        devices: planned so far.
        last_device, last_person: the planner's position in this pass, by key.
        free_at: when its rate limit has free slots.
        preflight: the result of its last estimate.
        estimate: None where none was requested.
        waiting: some planned devices are not processed.
        stop_reason: why its message stopped, if it did.
        last_error: why the last of its planning `attempts` failed, if it is retried.
    """

    broadcast_id: int
    workspace_id: WorkspaceId
    version: int
    message_id: UUID | None
    state: BroadcastState
    passes: tuple[Pass, ...]
    number: int
    pass_at: datetime | None
    saved: dict[str, Any] | None
    devices: int
    last_device: DeviceId
    last_person: PersonId
    free_at: datetime
    failure: str | None
    preflight: dict[str, Any] | None
    estimate: Estimate | None
    created_at: datetime
    started_at: datetime | None
    planned_at: datetime | None
    paused_at: datetime | None
    cancelled_at: datetime | None
    once: str | None
    expires_at: datetime | None
    stop_reason: str | None
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    waiting: bool

    @property
    def title(self) -> str:
        """What it is called: its name, else its title, message or number."""
        said = self.name or self.content.title or self.content.message
        return said or f"Broadcast {self.broadcast_id}"

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to be sent."""
        ended = {BroadcastState.PLANNED, BroadcastState.CANCELLED, BroadcastState.FAILED}
        return self.state in ended and not self.waiting

    @property
    def shown_state(self) -> str:
        """How far it has come: draft, scheduled, sending, paused, sent, stopped, cancelled or failed."""
        if self.paused_at is not None:
            return "paused"
        if self.stop_reason is not None and self.state is not BroadcastState.CANCELLED:
            return "stopped"
        if self.state in {BroadcastState.FETCHING, BroadcastState.PLANNING, BroadcastState.PLANNED}:
            return "sent" if self.is_over else "sending"
        return self.state.value

    @property
    def part(self) -> Pass | None:
        """The devices that are due now; None: all."""
        return self.passes[self.number] if self.passes else None

    @property
    def following(self) -> Pass | None:
        """The devices that are due after those; None: no more."""
        return self.passes[self.number + 1] if self.number + 1 < len(self.passes) else None


async def insert(
    connection: Connection,
    workspace: WorkspaceId,
    definition: Definition,
    *,
    state: BroadcastState,
    passes: Sequence[Pass] = (),
    once: tuple[str, bytes] | None = None,
) -> int | None:
    """Save a new broadcast and return its number; None when another has its idempotency key.

    `once` is that key, and a hash of the request. Planners are notified at the commit.
    """
    key, asked = once or (None, None)
    query = SQL.bind(
        "insert",
        **definition.columns(),
        workspace_id=workspace,
        state=state,
        passes=msgspec.to_builtins(passes),
        pass_at=passes[0].at if passes else None,
        once=key,
        asked=asked,
    )
    made: int | None = await connection.fetchval(*query)
    await connection.execute(f"notify {PLAN_CHANNEL}")
    return made


async def change(connection: Connection, broadcast: Broadcast, definition: Definition) -> None:
    """Replace the definition of a locked draft; its listed people have to be listed again."""
    await connection.execute(
        *SQL.bind(
            "change",
            **definition.columns(),
            workspace_id=broadcast.workspace_id,
            broadcast_id=broadcast.broadcast_id,
        )
    )
    await recipients.unlist(connection, broadcast.workspace_id, broadcast.broadcast_id)


async def once(connection: Connection, workspace: WorkspaceId, key: str) -> tuple[int, bytes] | None:
    """The broadcast of an idempotency key, and the hash of its request."""
    row = await connection.fetchrow(SQL["once"], workspace, key)
    return None if row is None else (row["broadcast_id"], row["asked"])


async def of_template(
    database: Database, workspace: WorkspaceId, template_id: int, *, before: int | None, limit: int
) -> list[Broadcast]:
    """The broadcasts of a template that were started, before a number, the newest first."""
    return await _page(database, workspace, template_id, before, limit)


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
    return await _page(database, workspace, None, before, limit)


async def begun(
    database: Database, workspace: WorkspaceId, *, before: int | None, limit: int
) -> list[Broadcast]:
    """The broadcasts of a workspace that began, before a number, the newest first."""
    return await _page(database, workspace, None, before, limit, begun=True)


async def some(database: Database, workspace: WorkspaceId, numbers: Sequence[int]) -> list[Broadcast]:
    """Broadcasts by their numbers, in any order; one that does not exist or cannot be read is missing."""
    rows = await database.of(workspace).rows(_SOME, workspace, list(numbers))
    return database.readable(rows, of_row, table="broadcasts", key="broadcast_id", workspace=workspace)


async def _page(
    database: Database,
    workspace: WorkspaceId,
    template_id: int | None,
    before: int | None,
    limit: int,
    *,
    begun: bool = False,
) -> list[Broadcast]:
    """A full page of those that can be read, as long as there are any."""
    found: list[Broadcast] = []
    before = before or _LAST
    while before is not None and (room := limit - len(found)) > 0:
        rows = await database.of(workspace).rows(_PAGE, workspace, before, template_id, room, begun)
        found += database.readable(rows, of_row, table="broadcasts", key="broadcast_id", workspace=workspace)
        before = rows[-1]["broadcast_id"] if len(rows) == room else None
    return found


async def one(database: Database, workspace: WorkspaceId, broadcast_id: int) -> Broadcast | None:
    """One broadcast."""
    row = await database.of(workspace).row(_ONE, workspace, broadcast_id)
    return None if row is None else of_row(row)


async def lock(connection: Connection, workspace: WorkspaceId, broadcast_id: int) -> Broadcast | None:
    """A broadcast, which nobody else changes, and nobody plans on, until the transaction ends."""
    row = await connection.fetchrow(_LOCKED, workspace, broadcast_id)
    return None if row is None else of_row(row)


async def claimed(connection: Connection, claim: Claim) -> Broadcast | None:
    """A broadcast that is claimed, locked until the transaction ends; None where it is not to be planned now."""
    row = await connection.fetchrow(_CLAIMED, *claim.row)
    return None if row is None else of_row(row)


async def is_waiting(connection: Connection, broadcast: Broadcast) -> bool:
    """Whether some planned devices of a broadcast are not processed, as seen by the holder of its lock."""
    found: bool = await connection.fetchval(SQL["is_waiting"], broadcast.workspace_id, broadcast.message_id)
    return found


async def start(connection: Connection, broadcast: Broadcast, passes: Sequence[Pass]) -> None:
    """Schedule a draft at these moments; planners are notified at the commit."""
    await connection.execute(SQL["start"], *_key(broadcast), msgspec.to_builtins(passes), passes[0].at)
    await connection.execute(f"notify {PLAN_CHANNEL}")


async def pause(connection: Connection, broadcast: Broadcast) -> None:
    """Pause it; workers are notified at the commit."""
    await connection.execute(SQL["pause"], *_key(broadcast))
    if broadcast.message_id is not None:
        await queue.park(connection, broadcast.workspace_id, broadcast.message_id)
    await connection.execute(f"notify {HALT_CHANNEL}")


async def resume(connection: Connection, broadcast: Broadcast) -> None:
    """Resume it."""
    await connection.execute(SQL["resume"], *_key(broadcast))
    await _unpark(connection, broadcast, at_once=False)


async def cancel(connection: Connection, broadcast: Broadcast) -> None:
    """Cancel it: planned devices are settled as cancelled, and workers are notified at the commit."""
    await connection.execute(SQL["cancel"], *_key(broadcast))
    await _unpark(connection, broadcast, at_once=True)


async def _unpark(connection: Connection, broadcast: Broadcast, *, at_once: bool) -> None:
    if broadcast.message_id is not None:
        await queue.unpark(connection, broadcast.workspace_id, broadcast.message_id, at_once=at_once)
    for channel in (HALT_CHANNEL, WORK_CHANNEL, PLAN_CHANNEL):
        await connection.execute(f"notify {channel}")


def _key(broadcast: Broadcast) -> tuple[WorkspaceId, int]:
    return broadcast.workspace_id, broadcast.broadcast_id


async def set_preflight(
    connection: Connection, broadcast: Broadcast, preflight: dict[str, Any], asked_at: datetime
) -> None:
    """Save its estimate, unless it was changed meanwhile or had begun when the estimate was requested."""
    key = broadcast.workspace_id, broadcast.broadcast_id
    await connection.execute(SQL["set_preflight"], *key, broadcast.version, preflight, asked_at)


def of_row(row: Row) -> Broadcast:
    """The broadcast of a row; msgspec's ValidationError of one that cannot be read."""
    values = dict(row)
    values["number"] = values.pop("pass")
    values["state"] = BroadcastState(values["state"])
    values["unit"] = Unit(values["unit"])
    values["schedule"] = msgspec.convert(values["schedule"], Schedule)
    values["passes"] = msgspec.convert(values["passes"], tuple[Pass, ...])
    values["content"] = msgspec.convert(values["content"], Content)
    values["wording"] = msgspec.convert(values["wording"], PersonalizedContent | None)
    state, asked_at, reason = (values.pop(f"estimate_{name}") for name in ("state", "asked_at", "reason"))
    estimate = None
    if state is not None:
        estimate = Estimate(state=EstimateState(state), asked_at=asked_at, reason=reason)
    return Broadcast(**values, estimate=estimate)
