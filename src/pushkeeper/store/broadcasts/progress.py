"""The progress of a broadcast: outcomes, and remaining work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core.model import message_day
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A count of a broadcast's pushes by outcome."""

    platform: str
    ending: str
    reason: str
    provider_reason: str
    pushes: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RemainingDevices:
    """Counts of remaining devices: waiting for a paused route, for a later time, or for their turn."""

    paused: str
    later: bool
    devices: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureDetail:
    """A detail of failed pushes, such as the variable that a template lacks, and how many of a sample have it."""

    reason: str
    detail: str
    pushes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """A count of a broadcast's pushes by outcome in one minute."""

    minute: datetime
    ending: str
    pushes: int


async def tallies(database: Database, workspace: WorkspaceId, message_id: UUID) -> list[Tally]:
    """The outcomes of a broadcast's pushes, the most frequent first."""
    return [Tally(**row) for row in await database.of(workspace).rows(SQL["tallies"], workspace, message_id)]


async def details(database: Database, workspace: WorkspaceId, message_id: UUID) -> list[FailureDetail]:
    """The most frequent details of its failed pushes."""
    found = await database.of(workspace).rows(SQL["details"], workspace, message_day(message_id), message_id)
    return [FailureDetail(**row) for row in found]


async def minutes(
    database: Database, workspace: WorkspaceId, message_id: UUID, since: datetime
) -> list[Minute]:
    """How many of its pushes ended in each minute from then on."""
    return [
        Minute(**row)
        for row in await database.of(workspace).rows(SQL["minutes"], workspace, message_id, since)
    ]


async def waiting(database: Database, workspace: WorkspaceId, message_id: UUID) -> list[RemainingDevices]:
    """Count the remaining devices, by what they wait for."""
    return [
        RemainingDevices(**row)
        for row in await database.of(workspace).rows(SQL["waiting"], workspace, message_id)
    ]
