"""Series: how many deliveries of a template came to what, period by period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pushkeeper.store.database import load_queries

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.database import Database

SQL = load_queries("series")

Period = Literal["hour", "day", "week", "month"]


async def of_template(
    database: Database, workspace: WorkspaceId, template_id: int, period: Period, periods: int
) -> dict[str, list[int]]:
    """Each metric of a template's deliveries in the last so many periods, the oldest first."""
    rows = await database.of(workspace).rows(SQL["of_template"], workspace, template_id, period, periods)
    return {row["metric"]: row["counts"] for row in rows}


async def links(
    database: Database, workspace: WorkspaceId, template_id: int, period: Period, periods: int
) -> dict[str, list[int]]:
    """Clicks on each link in a template's deliveries, likewise."""
    rows = await database.of(workspace).rows(SQL["links"], workspace, template_id, period, periods)
    return {row["href"]: row["counts"] for row in rows}
