"""The operations of reports, each of which answers as JSON or as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.api.openapi.schema import Schema, list_of, record, ref
from pushkeeper.api.openapi.schemas import COUNT, MAYBE_TEXT, TEXT
from pushkeeper.core.devices.token_age import AgeBand, ExpiryWeek
from pushkeeper.services.broadcasts.results import Result
from pushkeeper.services.reports.insights import Bounce, BounceDay, Cohort, PushDay, Reason, Revival
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
        "Get reachability",
        "Reachable people, and devices by platform, app version and last status, now and over time.",
        {"people": COUNT, "people_with_device": COUNT, "people_reachable": COUNT, "counted_at": TEXT},
        ReachQuery,
    ),
    **_report(
        Cohort,
        "cohorts",
        "Get sign-up cohorts",
        "People by sign-up month, with their current reachability.",
        _COUNTED,
    ),
    **_report(
        PushDay,
        "pushes",
        "Get daily push outcomes",
        "Push outcomes per day. Totals are kept after individual pushes are deleted.",
        {},
        ReportDaysQuery,
    ),
    **_report(
        Reason,
        "reasons",
        "Get failure reasons",
        "Why pushes did not reach their devices.",
        {},
        ReportDaysQuery,
    ),
    **_report(
        Bounce,
        "bounces",
        "Get bounces",
        "Rejected pushes by route, reason, platform and app version.",
        {},
        ReportDaysQuery,
    ),
    **_report(
        BounceDay,
        "bounces-by-day",
        "Get daily bounces",
        "Rejected pushes by reason, per day.",
        {},
        ReportDaysQuery,
    ),
    **_report(
        Revival,
        "revivals",
        "Get reactivations",
        "What happened to devices after they bounced or were suppressed, per month.",
        _COUNTED,
    ),
    **_report(
        Result,
        "broadcasts",
        "Get broadcast accuracy",
        "Results of broadcasts compared with their estimates.",
        {"next": MAYBE_TEXT},
        ReportPageQuery,
    ),
    **_report(AgeBand, "token-ages", "Get token ages", "Devices by time since last use.", _COUNTED),
    **_report(
        ExpiryWeek,
        "token-calendar",
        "Get expiring tokens",
        "The weeks in which FCM tokens of unused Android devices expire.",
        _COUNTED,
    ),
}
