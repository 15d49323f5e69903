"""Reports: people, pushes, rejections, broadcasts and tokens over time, each as a table and as CSV."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pushkeeper.core import csv_text
from pushkeeper.core.devices.token_age import EXPIRES_AFTER_DAYS, AgeBand, ExpiryWeek
from pushkeeper.dashboard.pages.broadcasts import INKS, OF
from pushkeeper.dashboard.ui.page import view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest
from pushkeeper.services.broadcasts.results import FlatResult, flat
from pushkeeper.services.reports.insights import (
    Bounce,
    BounceDay,
    Cohort,
    PushDay,
    Reason,
    Revival,
)
from pushkeeper.web.response import CSV, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from msgspec import Struct

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import Handler, PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.reports.insights import Counted

SPANS = {"30d": 30, "90d": 90, "1y": 365}
_USUAL_SPAN = "30d"
_SHOWN = 50
_CHARTED_WORDS = 5
_CSV_BROADCASTS = 10_000


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of reports."""
    reports = _Reports(context)
    files = _Files(context)
    here = "/w/{workspace}/reports"
    return [
        view(here, reports.people),
        view(f"{here}/pushes", reports.pushes),
        view(f"{here}/refusals", reports.refusals),
        view(f"{here}/comebacks", reports.comebacks),
        view(f"{here}/broadcasts", reports.broadcasts),
        view(f"{here}/tokens", reports.tokens),
        view(f"{here}/people.csv", files.people),
        view(f"{here}/pushes.csv", files.pushes),
        view(f"{here}/reasons.csv", files.reasons),
        view(f"{here}/refusals.csv", files.refusals),
        view(f"{here}/refusals-by-day.csv", files.refusals_by_day),
        view(f"{here}/comebacks.csv", files.comebacks),
        view(f"{here}/broadcasts.csv", files.broadcasts),
        view(f"{here}/token-ages.csv", files.token_ages),
        view(f"{here}/token-calendar.csv", files.token_calendar),
    ]


class _Reports:
    """The pages."""

    def __init__(self, context: Context) -> None:
        self._insights = context.services.insights
        self._broadcasts = context.services.broadcasts

    async def people(self, request: PageRequest) -> Response:
        """People by the month in which they came."""
        counted = await self._insights.cohorts(request.workspace_id, waits=False)
        bars = [] if counted is None else [_counts_of(cohort) for cohort in reversed(counted.found)]
        return _of_counted(request, "people", counted, bars=bars)

    async def comebacks(self, request: PageRequest) -> Response:
        """What happened next to devices that bounced or were suppressed."""
        counted = await self._insights.revivals(request.workspace_id, waits=False)
        by_status: dict[str, list[Revival]] = {"suppressed": [], "bounced": []}
        for one in reversed(counted.found if counted else []):
            by_status[one.status].append(one)
        return _of_counted(request, "comebacks", counted, by_status=by_status)

    async def tokens(self, request: PageRequest) -> Response:
        """Ages of tokens, and when FCM expires them."""
        counted = await self._insights.token_ages(request.workspace_id, waits=False)
        weeks = await self._insights.token_calendar(request.workspace_id, waits=False)
        calendar = [(week, _forgotten(request, week)) for week in (weeks.found if weeks else [])]
        return _of_counted(request, "tokens", counted, calendar=calendar)

    async def pushes(self, request: PageRequest) -> Response:
        """What pushes came to, day by day, and why."""
        days = SPANS[_span(request)]
        told, reasons = await asyncio.gather(
            self._insights.pushes(request.workspace_id, days),
            self._insights.reasons(request.workspace_id, days),
        )
        by_day = _by_day(days, ((one.day, OF[one.ending], one.pushes) for one in told))
        totals = sum((Counter(counts) for _, counts in by_day), Counter[str]())
        series = [
            {"name": ending, "ink": ink, "values": [counts[ending] for _, counts in by_day]}
            for ending, ink in INKS.items()
        ]
        return page(
            request,
            "report_pushes.html",
            **_frame(request, "pushes"),
            by_day=by_day,
            at=[_unix(day) for day, _ in by_day],
            series=series,
            totals=totals,
            reasons=reasons[:_SHOWN],
            endings=list(INKS),
        )

    async def refusals(self, request: PageRequest) -> Response:
        """Refusals by route, word, platform and app version."""
        days = SPANS[_span(request)]
        told, daily = await asyncio.gather(
            self._insights.bounces(request.workspace_id, days),
            self._insights.bounces_by_day(request.workspace_id, days),
        )
        by_day = _by_day(days, ((one.day, one.provider_reason, one.pushes) for one in daily))
        totals = sum((Counter(counts) for _, counts in by_day), Counter[str]())
        frequent = [word for word, _ in totals.most_common(_CHARTED_WORDS)]
        inks = ("suppressed", "bounced", "revived", "unused", "sent")
        series = [
            {"name": word or "no code", "ink": ink, "values": [counts[word] for _, counts in by_day]}
            for word, ink in zip(frequent, inks, strict=False)
        ]
        return page(
            request,
            "report_refusals.html",
            **_frame(request, "refusals"),
            by_day=by_day,
            at=[_unix(day) for day, _ in by_day],
            series=series,
            words_of=frequent,
            refusals=[(one, _devices_like(request, one)) for one in told[:_SHOWN]],
            all_of_it=len(told) <= _SHOWN,
        )

    async def broadcasts(self, request: PageRequest) -> Response:
        """Results of broadcasts beside their estimates."""
        before = request.asked_number("start")
        found = await self._broadcasts.report(request.workspace_id, before=before, limit=_SHOWN + 1)
        results = found[:_SHOWN]
        following = None
        if len(found) > _SHOWN:
            asked = urlencode({"start": results[-1].broadcast_id})
            following = f"{request.to('reports', 'broadcasts')}?{asked}"
        return page(
            request,
            "report_broadcasts.html",
            **_frame(request, "broadcasts"),
            results=results,
            next=following,
        )


class _Files:
    """The same as CSV; counts that do not exist yet are made for it."""

    def __init__(self, context: Context) -> None:
        insights = context.services.insights
        self.people = _file("people", Cohort, lambda request: _rows(insights.cohorts(request.workspace_id)))
        self.comebacks = _file(
            "comebacks", Revival, lambda request: _rows(insights.revivals(request.workspace_id))
        )
        self.token_ages = _file(
            "token-ages", AgeBand, lambda request: _rows(insights.token_ages(request.workspace_id))
        )
        self.token_calendar = _file(
            "token-calendar", ExpiryWeek, lambda request: _rows(insights.token_calendar(request.workspace_id))
        )
        self.pushes = _file("pushes", PushDay, lambda request: insights.pushes(*_asked(request)))
        self.reasons = _file("reasons", Reason, lambda request: insights.reasons(*_asked(request)))
        self.refusals = _file("refusals", Bounce, lambda request: insights.bounces(*_asked(request)))
        self.refusals_by_day = _file(
            "refusals-by-day", BounceDay, lambda request: insights.bounces_by_day(*_asked(request))
        )

        async def results(request: PageRequest) -> list[FlatResult]:
            found = await context.services.broadcasts.report(
                request.workspace_id, before=None, limit=_CSV_BROADCASTS
            )
            return [flat(one) for one in found]

        self.broadcasts = _file("broadcasts", FlatResult, results)


def _file(
    name: str, kind: type[Struct], read: Callable[[PageRequest], Awaitable[Sequence[Struct]]]
) -> Handler:
    async def handle(request: PageRequest) -> Response:
        file = f"{name}-{datetime.now(UTC):%Y-%m-%d}.csv"
        disposition = (b"content-disposition", f'attachment; filename="{file}"'.encode())
        return Response(
            body=csv_text.of_structs(kind, await read(request)), content_type=CSV, headers=(disposition,)
        )

    return handle


async def _rows(counting: Awaitable[Counted[Any] | None]) -> Sequence[Any]:
    counted = await counting
    return () if counted is None else counted.found


def _of_counted(request: PageRequest, name: str, counted: Counted[Any] | None, **more: Any) -> Response:  # noqa: ANN401 - of a template
    """A report over all devices: the page, or the fragment that loads later."""
    template = f"report_{name}_live.html" if request.fragment else f"report_{name}.html"
    return page(request, template, **_frame(request, name), counted=counted, **more)


def _frame(request: PageRequest, name: str) -> dict[str, Any]:
    """What all reports show."""
    return {"report": name, "span": _span(request), "spans": SPANS, "expires_after": EXPIRES_AFTER_DAYS}


def _span(request: PageRequest) -> str:
    asked = request.asked("span")
    return asked if asked in SPANS else _USUAL_SPAN


def _asked(request: PageRequest) -> tuple[Any, int]:
    asked = request.asked("span") or _USUAL_SPAN
    if asked not in SPANS:
        raise BadRequest("span", f"expected one of {', '.join(SPANS)}")
    return request.workspace_id, SPANS[asked]


def _counts_of(cohort: Cohort) -> dict[str, int]:
    """How many of its people are how to be reached, by ink."""
    return {
        "sent": cohort.reachable,
        "unused": cohort.without_device,
        "bounced": cohort.bounced,
        "suppressed": cohort.suppressed,
    }


def _by_day(days: int, told: Iterable[tuple[date, str, int]]) -> list[tuple[date, Counter[str]]]:
    """Counts by day; days without any included."""
    today = datetime.now(UTC).date()
    found = {today - timedelta(days=ago): Counter[str]() for ago in reversed(range(days))}
    for day, name, count in told:
        if day in found:
            found[day][name] += count
    return list(found.items())


def _unix(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _devices_like(request: PageRequest, bounce: Bounce) -> str:
    """Where devices are that were refused so, and are still known for it."""
    parts = [f"failure_reason = {_quoted(bounce.provider_reason)}", f"platform = {bounce.platform}"]
    if bounce.app_version:
        parts.append(f"app_version = {_quoted(bounce.app_version)}")
    return f"{request.to('devices')}?{urlencode({'filter': ' and '.join(parts)})}"


def _forgotten(request: PageRequest, week: ExpiryWeek) -> str:
    """Where the devices are that FCM forgets in a week."""
    first = week.begins - timedelta(days=EXPIRES_AFTER_DAYS)
    last = first + timedelta(days=7)
    text = f"platform = android and last_used after {first} and last_used before {last} and last_status != suppressed"
    return f"{request.to('devices')}?{urlencode({'filter': text})}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
