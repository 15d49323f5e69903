"""Our own API for reports: what the dashboard's pages of them show, as JSON and as CSV."""

from __future__ import annotations

from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pushkeeper.api.native.style import native
from pushkeeper.core import csv_text
from pushkeeper.core.devices.token_age import AgeBand, ExpiryWeek
from pushkeeper.services import validation
from pushkeeper.services.broadcasts.results import FlatResult, Result, flat
from pushkeeper.services.reports.insights import (
    Bounce,
    BounceDay,
    Cohort,
    PushDay,
    Reason,
    Revival,
)
from pushkeeper.services.reports.reach import DeviceCount
from pushkeeper.services.schemas.reports import ReachQuery, ReportDaysQuery, ReportPageQuery, ReportQuery
from pushkeeper.web import response
from pushkeeper.web.response import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from msgspec import Struct
    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.reports.insights import Counted

    Read = Callable[[WorkspaceId, Any], Awaitable["Table"]]  # by a query of the report's own kind

_CSV = b"text/csv; charset=utf-8"


class Table(NamedTuple):
    """A report: its rows, all of one kind, and the fields beside them."""

    kind: type[Struct]
    rows: Sequence[Struct]
    beside: Mapping[str, Any] = MappingProxyType({})


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    reports = _Reports(context)
    surface = native(context)
    of: dict[str, tuple[type[ReportQuery], Read]] = {
        "/api/v1/reports/reach": (ReachQuery, reports.reach),
        "/api/v1/reports/cohorts": (ReportQuery, reports.cohorts),
        "/api/v1/reports/pushes": (ReportDaysQuery, reports.pushes),
        "/api/v1/reports/reasons": (ReportDaysQuery, reports.reasons),
        "/api/v1/reports/bounces": (ReportDaysQuery, reports.bounces),
        "/api/v1/reports/bounces-by-day": (ReportDaysQuery, reports.bounces_by_day),
        "/api/v1/reports/revivals": (ReportQuery, reports.revivals),
        "/api/v1/reports/broadcasts": (ReportPageQuery, reports.broadcasts),
        "/api/v1/reports/token-ages": (ReportQuery, reports.token_ages),
        "/api/v1/reports/token-calendar": (ReportQuery, reports.token_calendar),
    }
    return [
        surface.route(path, GET=_shown(path.rpartition("/")[2], kind, read))
        for path, (kind, read) in of.items()
    ]


class _Reports:
    def __init__(self, context: Context) -> None:
        self._reach = context.services.reach
        self._insights = context.services.insights
        self._broadcasts = context.services.broadcasts

    async def reach(self, workspace: WorkspaceId, query: ReachQuery) -> Table:
        """Reachability of the workspace, now and over time."""
        standing = await self._reach.now(workspace)
        beside = {
            **asdict(standing.reach),
            "over_time": await self._reach.over_time(workspace, query.span),
            "hours": await self._reach.hours(workspace),
        }
        return Table(DeviceCount, standing.devices, beside)

    async def cohorts(self, workspace: WorkspaceId, _: ReportQuery) -> Table:
        return _counted(Cohort, await self._insights.cohorts(workspace))

    async def revivals(self, workspace: WorkspaceId, _: ReportQuery) -> Table:
        return _counted(Revival, await self._insights.revivals(workspace))

    async def token_ages(self, workspace: WorkspaceId, _: ReportQuery) -> Table:
        return _counted(AgeBand, await self._insights.token_ages(workspace))

    async def token_calendar(self, workspace: WorkspaceId, _: ReportQuery) -> Table:
        return _counted(ExpiryWeek, await self._insights.token_calendar(workspace))

    async def pushes(self, workspace: WorkspaceId, query: ReportDaysQuery) -> Table:
        return Table(PushDay, await self._insights.pushes(workspace, query.days))

    async def reasons(self, workspace: WorkspaceId, query: ReportDaysQuery) -> Table:
        return Table(Reason, await self._insights.reasons(workspace, query.days))

    async def bounces(self, workspace: WorkspaceId, query: ReportDaysQuery) -> Table:
        return Table(Bounce, await self._insights.bounces(workspace, query.days))

    async def bounces_by_day(self, workspace: WorkspaceId, query: ReportDaysQuery) -> Table:
        return Table(BounceDay, await self._insights.bounces_by_day(workspace, query.days))

    async def broadcasts(self, workspace: WorkspaceId, query: ReportPageQuery) -> Table:
        limit = query.limit
        _, before = validation.page(None, query.start, usual=limit, most=limit)
        found = await self._broadcasts.report(workspace, before=before or None, limit=limit + 1)
        page = found[:limit]
        following = validation.next_page(page[-1].broadcast_id) if len(found) > limit else None
        return Table(Result, page, {"next": following})


def _shown(name: str, kind: type[ReportQuery], read: Read) -> Callable[[Call], Awaitable[Response]]:
    """A report as JSON under its own name, or its rows as CSV on request."""

    async def handle(call: Call) -> Response:
        query = call.queried(kind)
        table = await read(call.workspace_id, query)
        if query.format == "json":
            return response.of_json({name.replace("-", "_"): table.rows, **table.beside})
        rows = [flat(row) if isinstance(row, Result) else row for row in table.rows]
        of = FlatResult if table.kind is Result else table.kind
        disposition = (b"content-disposition", f'attachment; filename="{name}.csv"'.encode())
        return Response(csv_text.of_structs(of, rows), headers=(disposition,), content_type=_CSV)

    return handle


def _counted(kind: type[Struct], found: Counted[Any] | None) -> Table:
    if found is None:  # somebody else counts it for the first time
        return Table(kind, (), {"counted_at": None})
    return Table(kind, found.found, {"counted_at": found.counted_at})
