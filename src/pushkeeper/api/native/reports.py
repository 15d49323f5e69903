"""Our own API for reports: what the dashboard's pages of them show, as JSON and as CSV."""

from __future__ import annotations

from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pushkeeper.api.native.devices import render
from pushkeeper.core import csv_text
from pushkeeper.core.devices.token_age import Age, Week
from pushkeeper.services import validation
from pushkeeper.services.reports.insights import MOST_DAYS, Cohort, FlatResult, Result, Revival, flat
from pushkeeper.services.reports.reach import Span
from pushkeeper.store.reports.insights import Bounce, BounceDay, PushDay, Reason
from pushkeeper.store.reports.reach import DeviceCount
from pushkeeper.web import response
from pushkeeper.web.endpoint import Surface
from pushkeeper.web.response import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from msgspec import Struct
    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.services.reports.insights import Counted
    from pushkeeper.web.endpoint import Call

_DAYS = 30
_PAGE, _LARGEST_PAGE = 50, 500
_CSV = b"text/csv; charset=utf-8"


class Table(NamedTuple):
    """A report: its rows, all of one kind, and what is said beside them."""

    kind: type[Struct]
    rows: Sequence[Struct]
    beside: Mapping[str, Any] = MappingProxyType({})


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    reports = _Reports(context)
    surface = Surface(name="native", authenticate=context.keys.app, render=render)
    of = {
        "/api/v1/reports/reach": reports.reach,
        "/api/v1/reports/cohorts": reports.cohorts,
        "/api/v1/reports/pushes": reports.pushes,
        "/api/v1/reports/reasons": reports.reasons,
        "/api/v1/reports/bounces": reports.bounces,
        "/api/v1/reports/bounces-by-day": reports.bounces_by_day,
        "/api/v1/reports/revivals": reports.revivals,
        "/api/v1/reports/broadcasts": reports.broadcasts,
        "/api/v1/reports/token-ages": reports.token_ages,
        "/api/v1/reports/token-calendar": reports.token_calendar,
    }
    return [surface.route(path, GET=_shown(path.rpartition("/")[2], read)) for path, read in of.items()]


class _Reports:
    def __init__(self, context: Context) -> None:
        self._census = context.services.reach
        self._insights = context.services.insights

    async def reach(self, call: Call) -> Table:
        """How the workspace stands, and stood."""
        workspace = call.workspace.workspace_id
        span = validation.one_of(call.query("span") or Span.DAYS_30.value, "span", tuple(Span))
        standing = await self._census.now(workspace)
        beside = {
            **asdict(standing.reach),
            "over_time": await self._census.over_time(workspace, Span(span)),
            "hours": await self._census.hours(workspace),
        }
        return Table(DeviceCount, standing.devices, beside)

    async def cohorts(self, call: Call) -> Table:
        return _counted(Cohort, await self._insights.cohorts(call.workspace.workspace_id))

    async def revivals(self, call: Call) -> Table:
        return _counted(Revival, await self._insights.revivals(call.workspace.workspace_id))

    async def token_ages(self, call: Call) -> Table:
        return _counted(Age, await self._insights.token_ages(call.workspace.workspace_id))

    async def token_calendar(self, call: Call) -> Table:
        return _counted(Week, await self._insights.token_calendar(call.workspace.workspace_id))

    async def pushes(self, call: Call) -> Table:
        return Table(PushDay, await self._insights.pushes(call.workspace.workspace_id, _days(call)))

    async def reasons(self, call: Call) -> Table:
        return Table(Reason, await self._insights.reasons(call.workspace.workspace_id, _days(call)))

    async def bounces(self, call: Call) -> Table:
        return Table(Bounce, await self._insights.bounces(call.workspace.workspace_id, _days(call)))

    async def bounces_by_day(self, call: Call) -> Table:
        return Table(BounceDay, await self._insights.bounces_by_day(call.workspace.workspace_id, _days(call)))

    async def broadcasts(self, call: Call) -> Table:
        text = call.query("limit")
        limit = _PAGE if text is None else validation.number(text, "limit", most=_LARGEST_PAGE)
        _, before = validation.page(None, call.query("start"), usual=limit, most=limit)
        found = await self._insights.broadcasts(
            call.workspace.workspace_id, before=before or None, limit=limit + 1
        )
        page = found[:limit]
        following = validation.next_page(page[-1].broadcast_id) if len(found) > limit else None
        return Table(Result, page, {"next": following})


def _shown(name: str, read: Callable[[Call], Awaitable[Table]]) -> Callable[[Call], Awaitable[Answer]]:
    """A report as JSON under its own name; or its rows as CSV, if that is asked for."""

    async def handle(call: Call) -> Answer:
        asked = call.query("format")
        as_csv = asked is not None and validation.one_of(asked, "format", ("json", "csv")) == "csv"
        table = await read(call)
        if not as_csv:
            return response.of_json({name.replace("-", "_"): table.rows, **table.beside})
        rows = [flat(row) if isinstance(row, Result) else row for row in table.rows]
        kind = FlatResult if table.kind is Result else table.kind
        disposition = (b"content-disposition", f'attachment; filename="{name}.csv"'.encode())
        return Answer(csv_text.of_structs(kind, rows), headers=(disposition,), content_type=_CSV)

    return handle


def _counted(kind: type[Struct], found: Counted[Any] | None) -> Table:
    if found is None:  # somebody else counts it for the first time
        return Table(kind, (), {"counted_at": None})
    return Table(kind, found.found, {"counted_at": found.counted_at})


def _days(call: Call) -> int:
    text = call.query("days")
    return _DAYS if text is None else validation.number(text, "days", most=MOST_DAYS)
