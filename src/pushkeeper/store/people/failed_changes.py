"""Identifiers that calls named but that were not applied: somebody else has them, or the person has another."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)


class FailedChange(NamedTuple):
    """An identifier that was not applied to a person; `owner` has it, None if the person has another."""

    workspace_id: WorkspaceId
    person_id: PersonId
    owner_id: PersonId | None
    name: str
    value: str


async def insert(connection: Connection, failed: Sequence[FailedChange]) -> None:
    """Record changes that were not applied, for the people's activities."""
    await connection.execute(SQL["insert"], *columns(failed, 5))
