"""The operations of reports, each of which answers as JSON or as a table."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import START, Operation, Operations
from pushkeeper.api.openapi.schema import Schema, list_of, record, whole
from pushkeeper.api.openapi.schemas import COUNT, MAYBE_TEXT, OBJECT, TEXT

_COUNTED: dict[str, Schema] = {"counted_at": MAYBE_TEXT}
_DAYS: dict[str, Schema] = {"days": {**whole(1, 800), "description": "How many days."}}


def _report(
    name: str, summary: str, description: str, beside: dict[str, Schema], **query: Schema
) -> Operations:
    words = "".join(word.capitalize() for word in name.split("-"))
    operation = Operation(
        id=f"get{words}Report",
        summary=summary,
        description=description,
        query={**query, "format": {"enum": ["json", "csv"], "description": "The format of the answer."}},
        answer=record({name.replace("-", "_"): list_of(OBJECT), **beside}),
        csv=True,
    )
    return {("GET", f"/api/v1/reports/{name}"): operation}


REPORTS: Operations = {
    **_report(
        "reach",
        "Get the reach",
        "People who can be reached, and devices by platform, app version and last status, now and over time.",
        {"people": COUNT, "people_with_device": COUNT, "people_reachable": COUNT, "counted_at": TEXT},
        span={"enum": ["2d", "30d", "1y"], "description": "How far back it goes."},
    ),
    **_report(
        "cohorts",
        "Get people by month",
        "People by the month in which they were created, and how they can be reached.",
        _COUNTED,
    ),
    **_report(
        "pushes",
        "Get pushes by day",
        "How pushes ended, day by day. It is kept when the pushes are deleted.",
        {},
        **_DAYS,
    ),
    **_report("reasons", "Get reasons of failures", "Why pushes did not reach their devices.", {}, **_DAYS),
    **_report("bounces", "Get bounces", "Refusals by route, reason, platform and app version.", {}, **_DAYS),
    **_report("bounces-by-day", "Get bounces by day", "Refusals by reason, day by day.", {}, **_DAYS),
    **_report(
        "revivals",
        "Get revivals",
        "What happened to devices that bounced or were suppressed, month by month.",
        _COUNTED,
    ),
    **_report(
        "broadcasts",
        "Get results of broadcasts",
        "The results of broadcasts beside what their preflight expected.",
        {"next": MAYBE_TEXT},
        start=START,
        limit={**whole(1, 500), "description": "The most items of a page."},
    ),
    **_report("token-ages", "Get devices by age", "Devices by how long ago they were last used.", _COUNTED),
    **_report(
        "token-calendar",
        "Get expiries of tokens",
        "The weeks in which FCM expires the tokens of Android devices that are not used.",
        _COUNTED,
    ),
}
