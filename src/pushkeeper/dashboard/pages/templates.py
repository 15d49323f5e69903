"""Templates: read here, written by the native API."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.services.reports.deliveries import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.messages.templates import Template
    from pushkeeper.web.response import Response

_COLUMNS: Sequence[Column[Template]] = (
    Column("template", lambda one: one.template_id),
    Column("name", lambda one: one.name),
    Column("kind", lambda one: one.kind),
    Column("trigger_name", lambda one: one.trigger_name),
    Column("title", lambda one: one.content.title),
    Column("message", lambda one: one.content.message),
    Column("languages", lambda one: " ".join(sorted(one.translations))),
    Column("updated_at", lambda one: one.updated_at),
)


_WEEKS = 12
METRICS = (
    Metric.CREATED,
    Metric.SENT,
    Metric.BOUNCED,
    Metric.FAILED,
    Metric.DROPPED,
    Metric.DELIVERED,
    Metric.OPENED,
    Metric.CLICKED,
    Metric.CONVERTED,
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of templates."""
    templates = _Templates(context)
    return [
        view("/w/{workspace}/templates", templates.show_all),
        view("/w/{workspace}/templates.csv", templates.csv),
        view("/w/{workspace}/templates/{template}", templates.show),
    ]


class _Templates:
    def __init__(self, context: Context) -> None:
        self._templates = context.services.templates
        self._deliveries = context.services.deliveries
        self._url = context.url

    async def show_all(self, request: PageRequest) -> Response:
        found = await self._templates.all(request.workspace_id)
        return page(request, "templates.html", templates=found, url=self._url)

    async def csv(self, request: PageRequest) -> Response:
        return csv_of("templates", _COLUMNS, await self._templates.all(request.workspace_id))

    async def show(self, request: PageRequest) -> Response:
        found = await self._templates.one(request.workspace_id, request.number("template", "template"))
        if request.fragment:
            series = await self._deliveries.series(request.workspace_id, found, "weeks", _WEEKS)
            return page(request, "template_results.html", weeks=_weeks(series), metrics=METRICS)
        contents = {"": found.content, **found.translations}
        return page(request, "template.html", template=found, contents=contents)


def _weeks(series: Mapping[Metric, Sequence[int]]) -> list[tuple[date, dict[Metric, int]]]:
    """Each metric by the Monday (UTC) of its week, the newest week first; weeks without a message are left out."""
    today = datetime.now(UTC).date()
    monday = today - timedelta(days=today.weekday())
    found = []
    for ago in range(_WEEKS):
        counts = {metric: series[metric][_WEEKS - 1 - ago] for metric in METRICS}
        if any(counts.values()):
            found.append((monday - timedelta(weeks=ago), counts))
    return found
