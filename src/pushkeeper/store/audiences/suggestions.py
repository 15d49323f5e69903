"""Names and values of a workspace's attributes, to suggest to authors of filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)

SAMPLE = 500
_MOST_VALUES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Attributes by their names with some of their values, the most frequent first; apps, reasons, events and segments."""

    of_devices: Mapping[str, list[str]]
    of_people: Mapping[str, list[str]]
    events: list[str]
    segments: list[tuple[int, str]]


async def of_workspace(database: Database, workspace: WorkspaceId) -> Known:
    """What the newest people and their devices are described by."""
    devices = await database.of(workspace).rows(SQL["of_devices"], workspace, SAMPLE, _MOST_VALUES)
    people = await database.of(workspace).rows(SQL["of_people"], workspace, SAMPLE, _MOST_VALUES)
    events = await database.of(workspace).rows(SQL["events"], workspace, SAMPLE)
    segments = await database.of(workspace).rows(SQL["segments"], workspace, _MOST_VALUES)
    return Known(
        of_devices={row["name"]: row["known"] for row in devices},
        of_people={row["name"]: row["known"] for row in people},
        events=[row["name"] for row in events],
        segments=[(row["segment_id"], row["name"]) for row in segments],
    )
