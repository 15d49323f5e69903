"""The operations of reports, each of which answers as JSON or as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.api.openapi.schema import Schema, list_of, record, ref
from pushkeeper.api.openapi.schemas import COUNT, MAYBE_TEXT, TEXT
from pushkeeper.core.devices.token_age import AgeBand, ExpiryWeek
from pushkeeper.services.reports.insights import Bounce, BounceDay, Cohort, PushDay, Reason, Result, Revival
from pushkeeper.services.reports.reach import DeviceCount
from pushkeeper.services.schemas.reports import ReachQuery, ReportDaysQuery, ReportPageQuery, ReportQuery

if TYPE_CHECKING:
    from msgspec import Struct

_COUNTED: dict[str, Schema] = {"counted_at": MAYBE_TEXT}


def _report(
    row: type[Struct],
    name: str,
    summary: str,
    description: str,
    beside: dict[str, Schema],
    query: type[Struct] = ReportQuery,
) -> Operations:
    words = "".join(word.capitalize() for word in name.split("-"))
    operation = Operation(
        id=f"get{words}Report",
        summary=summary,
        description=description,
        query=query,
        answer=record({name.replace("-", "_"): list_of(ref(row.__name__)), **beside}),
        parts=(row,),
        csv=True,
    )
    return {("GET", f"/api/v1/reports/{name}"): operation}


REPORTS: Operations = {
    **_report(
        DeviceCount,
        "reach",
        "Get the reach",
        "People who can be reached, and devices by platform, app version and last status, now and over time.",
        {"people": COUNT, "people_with_device": COUNT, "people_reachable": COUNT, "counted_at": TEXT},
        ReachQuery,
    ),
    **_report(
        Cohort,
        "cohorts",
        "Get people by month",
        "People by the month in which they were created, and how they can be reached.",
        _COUNTED,
    ),
    **_report(
        PushDay,
        "pushes",
        "Get pushes by day",
        "How pushes ended, day by day. It is kept when the pushes are deleted.",
        {},
        ReportDaysQuery,
    ),
    **_report(
        Reason,
        "reasons",
        "Get reasons of failures",
        "Why pushes did not reach their devices.",
        {},
        ReportDaysQuery,
    ),
    **_report(
        Bounce,
        "bounces",
        "Get bounces",
        "Refusals by route, reason, platform and app version.",
        {},
        ReportDaysQuery,
    ),
    **_report(
        BounceDay,
        "bounces-by-day",
        "Get bounces by day",
        "Refusals by reason, day by day.",
        {},
        ReportDaysQuery,
    ),
    **_report(
        Revival,
        "revivals",
        "Get revivals",
        "What happened to devices that bounced or were suppressed, month by month.",
        _COUNTED,
    ),
    **_report(
        Result,
        "broadcasts",
        "Get results of broadcasts",
        "The results of broadcasts beside what their preflight expected.",
        {"next": MAYBE_TEXT},
        ReportPageQuery,
    ),
    **_report(
        AgeBand, "token-ages", "Get devices by age", "Devices by how long ago they were last used.", _COUNTED
    ),
    **_report(
        ExpiryWeek,
        "token-calendar",
        "Get expiries of tokens",
        "The weeks in which FCM expires the tokens of Android devices that are not used.",
        _COUNTED,
    ),
}
