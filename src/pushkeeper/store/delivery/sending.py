"""Sending: whether a workspace's pushes leave at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core.actor import ActorKind
from pushkeeper.store.db.database import HALT_CHANNEL, WORK_CHANNEL
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Self

    from pushkeeper.core.actor import Actor
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row

SQL = load_queries(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingPause:
    """A pause of all sending: since when, why, and who made it."""

    paused_at: datetime
    reason: str
    actor: ActorKind
    actor_name: str

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """The pause of a row that has one."""
        return cls(
            paused_at=row["paused_at"],
            reason=row["reason"],
            actor=ActorKind(row["actor"]),
            actor_name=row["actor_name"],
        )

    @property
    def by(self) -> str:
        """Who made it, in words."""
        match self.actor:
            case ActorKind.KEY:
                return f"API key {self.actor_name}"
            case ActorKind.COMMAND_LINE:
                return f"{self.actor_name} (command line)"
        return self.actor_name


async def pause(connection: Connection, workspace: WorkspaceId, reason: str, by: Actor) -> bool:
    """Pause a workspace and return whether it was not paused already; workers are notified at the commit."""
    made = await connection.fetchval(SQL["pause"], workspace, reason, by.kind.value, by.name)
    await connection.execute(f"notify {HALT_CHANNEL}")
    return made is not None


async def resume(connection: Connection, workspace: WorkspaceId) -> bool:
    """End the pause of a workspace and return whether there was one; workers are notified at the commit."""
    ended = await connection.fetchval(SQL["resume"], workspace)
    for channel in (HALT_CHANNEL, WORK_CHANNEL):
        await connection.execute(f"notify {channel}")
    return ended is not None


async def one(database: Database, workspace: WorkspaceId) -> SendingPause | None:
    """The pause of a workspace; None while it sends."""
    row = await database.of(workspace).row(SQL["one"], workspace)
    return None if row is None else SendingPause.of_row(row)


async def queued(database: Database, workspace: WorkspaceId) -> int:
    """The number of devices that pushes of a workspace are queued for."""
    found: int = await database.of(workspace).value(SQL["queued"], workspace)
    return found


async def everywhere(database: Database) -> dict[str, SendingPause]:
    """Every pause, by the workspace's name."""
    return {row["workspace"]: SendingPause.of_row(row) for row in await database.rows(SQL["all"])}
