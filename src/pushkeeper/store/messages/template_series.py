"""Outcomes of a template's deliveries per period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.messages.templates import TemplateKind

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.messages.templates import Template

SQL = load_queries(__name__)

Period = Literal["hour", "day", "week", "month"]


async def of_template(
    database: Database, workspace: WorkspaceId, template: Template, period: Period, periods: int
) -> dict[str, list[int]]:
    """Each metric of a template's deliveries in the last so many periods, the oldest first."""
    rows = await database.reading(workspace).rows(
        SQL["of_template"], workspace, template.template_id, period, periods, _is_broadcast(template)
    )
    return {row["metric"]: row["counts"] for row in rows}


async def links(
    database: Database,
    workspace: WorkspaceId,
    template: Template,
    period: Period,
    periods: int,
    *,
    unique: bool,
) -> dict[str, list[int]]:
    """Clicks on each link in a template's deliveries, by period; with `unique`, only each person's first click."""
    rows = await database.reading(workspace).rows(
        SQL["links"], workspace, template.template_id, period, periods, _is_broadcast(template), unique
    )
    return {row["href"]: row["counts"] for row in rows}


def _is_broadcast(template: Template) -> bool:
    return template.kind is TemplateKind.BROADCAST
