"""The overview: how many people can be reached, how that came about, and what needs somebody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.dashboard.pages import attention
from pushkeeper.dashboard.pages.broadcasts import under_way
from pushkeeper.dashboard.ui import labels
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import view
from pushkeeper.dashboard.ui.page_request import path_of
from pushkeeper.dashboard.ui.render import page
from pushkeeper.services.reports.reach import Span
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.reports.reach import DeviceCount, Hour, Moment, WorkspaceCounts
    from pushkeeper.web.response import Response

_MOST_VERSIONS = 12


def _devices_of(status: str) -> Callable[[Moment], int]:
    return lambda moment: moment.devices.get(status, 0)


_MOMENTS: Sequence[Column[Moment]] = (
    Column("at", lambda one: one.at),
    *(Column(labels.STATUS_NAMES[status], _devices_of(status)) for status in labels.STATUSES),
)
_HOURS: Sequence[Column[Hour]] = (
    Column("hour", lambda one: one.at),
    Column("accepted", lambda one: one.accepted),
    Column("bounced", lambda one: one.bounced),
    Column("suppressed", lambda one: one.suppressed),
    Column("revived", lambda one: one.revived),
)
_COUNTS: Sequence[Column[DeviceCount]] = (
    Column("platform", lambda one: one.platform),
    Column("app_version", lambda one: one.app_version),
    Column("last_status", lambda one: labels.STATUS_NAMES[one.status]),
    Column("devices", lambda one: one.devices),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of the overview."""
    overview = _Overview(context)
    return [
        view("/", overview.start),
        view("/w/{workspace}", overview.show),
        view("/w/{workspace}/overview/status.csv", overview.status_csv),
        view("/w/{workspace}/overview/hours.csv", overview.hours_csv),
        view("/w/{workspace}/overview/versions.csv", overview.versions_csv),
    ]


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart: a name, and devices by last status."""

    name: str
    by_status: dict[str, int]

    @property
    def devices(self) -> int:
        return sum(self.by_status.values())

    @property
    def counts(self) -> dict[str, int]:
        """The same by what statuses are called, in the order in which they are shown."""
        return {labels.STATUS_NAMES[status]: self.by_status.get(status, 0) for status in labels.STATUSES}


class _Overview:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def start(self, request: PageRequest) -> Response:
        """The workspace that was looked at last, or the first, or where one is made."""
        if not request.workspaces:
            return see_other(path_of("workspaces"))
        return see_other(path_of("w", (request.workspace or request.workspaces[0]).name))

    async def show(self, request: PageRequest) -> Response:
        """The page; or, of a fragment, what of it changes while somebody looks."""
        context, workspace = self._context, request.workspace_id
        span = _span(request)
        standing, routes, webhooks, known, alive, going = await asyncio.gather(
            context.services.reach.now(workspace),
            context.services.routes.all(workspace),
            context.services.webhooks.all(workspace),
            context.services.credentials.of_workspace(workspace),
            context.services.jobs.workers(),
            under_way(context, workspace),
        )
        facts = attention.AttentionInput(
            routes=routes,
            credentials=known,
            webhooks=webhooks,
            workers=alive,
            now=datetime.now(UTC),
            jobs=await context.services.jobs.all(workspace),
        )
        live = {
            "standing": standing,
            "routes": routes,
            "todos": attention.todos(facts),
            "under_way": going,
        }
        if request.fragment:
            return page(request, "overview_live.html", **live)
        hours, moments = await asyncio.gather(
            context.services.reach.hours(workspace), context.services.reach.over_time(workspace, span)
        )
        held = await context.services.api_keys.of_workspace(workspace)
        return page(
            request,
            "overview.html",
            **live,
            span=span,
            spans=Span,
            hours=hours,
            moments=moments,
            platforms=_bars(standing, lambda one: labels.platform(one.platform)),
            versions=_bars(standing, _version)[:_MOST_VERSIONS],
            credentials=known,
            site_id=next((key.key_id for key in held if key.kind == "track"), ""),
            url=context.url,
        )

    async def status_csv(self, request: PageRequest) -> Response:
        moments = await self._context.services.reach.over_time(request.workspace_id, _span(request))
        return csv_of("devices-by-last-status", _MOMENTS, moments)

    async def hours_csv(self, request: PageRequest) -> Response:
        return csv_of("per-hour", _HOURS, await self._context.services.reach.hours(request.workspace_id))

    async def versions_csv(self, request: PageRequest) -> Response:
        standing = await self._context.services.reach.now(request.workspace_id)
        return csv_of("devices-by-version", _COUNTS, standing.devices)


def _span(request: PageRequest) -> Span:
    asked = request.asked("span")
    return Span(asked) if asked in list(Span) else Span.DAYS_30


def _version(count: DeviceCount) -> str:
    return f"{labels.platform(count.platform)} {count.app_version or 'unknown'}"


def _bars(standing: WorkspaceCounts, name: Callable[[DeviceCount], str]) -> list[Bar]:
    """Devices by what they are called, the most frequent first."""
    found: dict[str, dict[str, int]] = {}
    for count in standing.devices:
        by_status = found.setdefault(name(count), {})
        by_status[count.status] = by_status.get(count.status, 0) + count.devices
    return sorted((Bar(*one) for one in found.items()), key=lambda bar: -bar.devices)
