"""Identifiers that calls would have given people, and that are somebody else's or stay what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.store.database import columns, load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.database import Connection

SQL = load_queries("failed_changes")


class FailedChange(NamedTuple):
    """An identifier that a person was not given; `owner` is who has it, None where they have another of their own."""

    workspace_id: WorkspaceId
    person_id: PersonId
    owner_id: PersonId | None
    name: str
    value: str


async def insert(connection: Connection, failed: Sequence[FailedChange]) -> None:
    """Keep what was not applied, for the people's activities."""
    await connection.execute(SQL["insert"], *columns(failed, 5))
