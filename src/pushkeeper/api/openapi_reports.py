"""The operations of reports, each of which answers as JSON or as a table."""

from __future__ import annotations

from pushkeeper.api.openapi_operation import START, Operation
from pushkeeper.api.openapi_schemas import COUNT, MAYBE_TEXT, OBJECT, TEXT, Schema, list_of, record, whole

_COUNTED: dict[str, Schema] = {"counted_at": MAYBE_TEXT}
_DAYS: dict[str, Schema] = {"days": whole(1, 800)}


def _report(
    name: str, summary: str, beside: dict[str, Schema], **query: Schema
) -> dict[tuple[str, str], Operation]:
    answer = record({name.replace("-", "_"): list_of(OBJECT), **beside})
    asked = {**query, "format": {"enum": ["json", "csv"]}}
    return {
        ("GET", f"/api/v1/reports/{name}"): Operation(summary=summary, query=asked, answer=answer, csv=True)
    }


REPORTS: dict[tuple[str, str], Operation] = {
    **_report(
        "reach",
        "People who can be reached, devices by platform, app version and last status, now and over time",
        {"people": COUNT, "people_with_device": COUNT, "people_reachable": COUNT, "counted_at": TEXT},
        span={"enum": ["2d", "30d", "1y"]},
    ),
    **_report("cohorts", "People by the month in which they came, and how they can be reached", _COUNTED),
    **_report("pushes", "What pushes came to, day by day; it stays when the pushes are dropped", {}, **_DAYS),
    **_report("reasons", "Why pushes did not reach their devices", {}, **_DAYS),
    **_report("bounces", "Refusals by route, word, platform and app version", {}, **_DAYS),
    **_report("bounces-by-day", "Refusals by word, day by day", {}, **_DAYS),
    **_report("revivals", "What came of devices that bounced or were suppressed, month by month", _COUNTED),
    **_report(
        "broadcasts",
        "What came of broadcasts, and whether that was foreseen",
        {"next": MAYBE_TEXT},
        start=START,
        limit=whole(1, 500),
    ),
    **_report("token-ages", "Devices by how long ago they were last used", _COUNTED),
    **_report("token-calendar", "The weeks in which FCM forgets Android devices that are not used", _COUNTED),
}
