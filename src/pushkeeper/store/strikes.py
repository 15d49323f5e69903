"""Bounces: statuses of devices compared with their history, and reverts of bounces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.delivery.status_replay import HistoryEvent, ReplayedStatus, StrikeFilter
from pushkeeper.core.model import DeviceId, Platform, Token
from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from pushkeeper.core.delivery.reason_codes import Answers
    from pushkeeper.core.model import PersonId, RouteId, WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

_STRIKES = "h.event in ('refused', 'refused_as_stale') and h.undone_by is null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A selection of bounces: by time, and optionally routes, responses, a provider's reason, or devices."""

    since: datetime
    until: datetime
    routes: tuple[RouteId, ...] | None = None
    answers: Answers | None = None
    reason: str | None = None
    only: StrikeFilter = StrikeFilter.ALL

    def condition(self, first: int) -> tuple[str, list[object]]:
        """The condition over `device_history h`, with its parameters from `$first` on."""
        written = [_STRIKES, f"h.at >= ${first}", f"h.at < ${first + 1}"]
        parameters: list[object] = [self.since, self.until]
        if self.routes is not None:
            written.append(f"h.route_id = any (${first + len(parameters)}::bigint[])")
            parameters.append(list(self.routes))
        if self.answers is not None:
            written.append(f"h.provider = ${first + len(parameters)}::text")
            parameters.append(self.answers.provider)
            written.append(f"h.provider_status = any (${first + len(parameters)}::smallint[])")
            parameters.append(list(self.answers.statuses))
            if self.answers.reasons is not None:
                written.append(f"h.provider_reason = any (${first + len(parameters)}::text[])")
                parameters.append(list(self.answers.reasons))
        if self.reason is not None:
            written.append(f"h.provider_reason = ${first + len(parameters)}::text")
            parameters.append(self.reason)
        if self.only is StrikeFilter.SUPPRESSED:
            written.append("h.to_status = 'suppressed'")
        return f"({' and '.join(written)})", parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The check of some devices: how many, how many without history, and how many that don't match it.

    Attributes:
        share: of all devices of the workspace.
    """

    devices: int
    unchecked: int
    wrong: int
    examples: list[dict[str, Any]]
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDevice:
    """The state of a device."""

    device_id: DeviceId
    person_id: PersonId
    token: Token
    platform: Platform
    status: LastStatus
    strikes: int
    generation: int


@dataclass(frozen=True, slots=True)
class StrikeLine:
    """A line of history, and whether it is a selected bounce."""

    line: HistoryEvent
    meant: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """A revert: which bounces were selected, and why.

    Attributes:
        strikes: reverted bounces, of how many `devices`; `meant_devices` were selected at the start.
        under_way: it is running; neither finished nor running means interrupted.
    """

    undo_id: int
    selection: dict[str, Any]
    why: str
    strikes: int
    devices: int
    meant_devices: int | None
    created_at: datetime
    finished_at: datetime | None
    under_way: bool


async def check(
    database: Database, workspace: WorkspaceId, first: bytes, end: bytes | None, *, examples: int
) -> CheckResult:
    """Check that the history of devices in a range of keys replays to their state.

    Raises:
        TooSlow: it takes longer than a minute.
    """
    [row] = await database.survey(SQL["broken"], workspace, first, end, examples)
    return CheckResult(**row)


async def meant(database: Database, workspace: WorkspaceId, selection: Selection) -> tuple[int, int]:
    """How many bounces are selected, on how many devices."""
    condition, parameters = selection.condition(2)
    query = SQL["strikes"].replace("{meant}", condition)
    [row] = await database.survey(query, workspace, *parameters)
    return row["strikes"], row["devices"]


async def struck(
    database: Database, workspace: WorkspaceId, selection: Selection, *, after: bytes, limit: int
) -> list[DeviceId]:
    """The next devices after a key with a selected bounce."""
    condition, parameters = selection.condition(4)
    query = SQL["struck"].replace("{meant}", condition)
    rows = await database.survey(query, workspace, after, limit, *parameters)
    return [row["device_id"] for row in rows]


async def lock(
    connection: Connection, workspace: WorkspaceId, keys: Sequence[DeviceId]
) -> dict[DeviceId, StoredDevice]:
    """The state of these devices, locked until the transaction ends; deleted ones are missing."""
    rows = await connection.fetch(SQL["lock"], workspace, list(keys))
    return {
        row["device_id"]: StoredDevice(
            **{
                **row,
                "token": Token(row["token"]),
                "platform": Platform(row["platform"]),
                "status": LastStatus(row["status"]),
            }
        )
        for row in rows
    }


async def lines(
    connection: Connection, workspace: WorkspaceId, keys: Sequence[DeviceId], selection: Selection
) -> dict[DeviceId, list[StrikeLine]]:
    """The history of these devices, the oldest line first."""
    condition, parameters = selection.condition(3)
    query = SQL["lines"].replace("{meant}", condition)
    found: dict[DeviceId, list[StrikeLine]] = {key: [] for key in keys}
    for row in await connection.fetch(query, workspace, list(keys), *parameters):
        facts = dict(row)
        is_meant = facts.pop("meant")
        for name in ("from_status", "to_status"):
            facts[name] = None if facts[name] is None else LastStatus(facts[name])
        found[facts.pop("device_id")].append(StrikeLine(HistoryEvent(**facts), is_meant))
    return found


async def mark(
    connection: Connection,
    workspace: WorkspaceId,
    undo_id: int,
    keys: Collection[DeviceId],
    numbers: Collection[int],
) -> None:
    """Let these strikes count no more."""
    await connection.execute(SQL["mark"], workspace, undo_id, list(keys), list(numbers))


async def restore(
    connection: Connection,
    workspace: WorkspaceId,
    undo_id: int,
    balances: Sequence[tuple[DeviceId, ReplayedStatus]],
) -> None:
    """Write the new states of devices, each with its line of history."""
    rows = [(key, b.status.value, b.strikes, b.struck_at, b.reason) for key, b in balances]
    await connection.execute(SQL["restore"], workspace, f"undo {undo_id}", *columns(rows, 5))


async def insert(
    connection: Connection, workspace: WorkspaceId, selection: dict[str, Any], *, why: str, devices: int
) -> int:
    """Create a revert on a number of devices, with its reason; returns its number."""
    made: int = await connection.fetchval(SQL["insert"], workspace, selection, why, devices)
    return made


async def count(
    connection: Connection, workspace: WorkspaceId, undo_id: int, *, strikes: int, devices: int
) -> None:
    """Add to the reverted bounces and devices."""
    await connection.execute(SQL["count"], workspace, undo_id, strikes, devices)


async def finish(connection: Connection, workspace: WorkspaceId, undo_id: int) -> None:
    """Finish the revert."""
    await connection.execute(SQL["finish"], workspace, undo_id)


async def of_workspace(database: Database, workspace: WorkspaceId, *, limit: int) -> list[Undo]:
    """Past reverts, newest first."""
    return [Undo(**row) for row in await database.of(workspace).rows(SQL["all"], workspace, None, limit)]


async def one(database: Database, workspace: WorkspaceId, undo_id: int) -> Undo | None:
    """The revert with this number, if there is one."""
    row = await database.of(workspace).row(SQL["all"], workspace, undo_id, 1)
    return None if row is None else Undo(**row)
