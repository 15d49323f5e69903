"""Broadcasts: their content, estimate, progress and results."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode

from pushkeeper.core.broadcasts.progress import Unknown
from pushkeeper.core.pagination import Page
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.pages.broadcast_draft import can_be_typed, template_of
from pushkeeper.dashboard.pages.broadcast_form import version_of
from pushkeeper.dashboard.ui import labels
from pushkeeper.dashboard.ui.csv_download import CSV_ROWS, ROWS, Column, csv_of, csv_of_pages
from pushkeeper.dashboard.ui.live import Frame, LiveStreams
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.services.reports.insights import flat
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.broadcasts.service import (
        Broadcast,
        BroadcastStatus,
        FailureDetail,
        Minute,
        Tally,
    )
    from pushkeeper.services.reports.insights import FlatResult
    from pushkeeper.web.response import Response

ENDINGS = ("accepted", "bounced", "failed", "expired", "unknown", "skipped")
INKS = {"accepted": "sent", "bounced": "bounced", "failed": "suppressed", "skipped": "unused"}
OF = {
    "accepted": "accepted",
    "bounced": "bounced",
    "failed": "failed",
    "expired": "failed",
    "unknown": "failed",
    "skipped": "skipped",
}
_MOST_BARS = 120
_LATEST = 10
_STEPS_MIN = (1, 5, 15, 60, 360, 1_440)

Row: TypeAlias = "tuple[Broadcast, FlatResult | None]"  # with what came of it, once it began


def _ended(ending: str) -> Callable[[Row], int | None]:
    return lambda row: None if row[1] is None else getattr(row[1], ending)


_COLUMNS: Sequence[Column[Row]] = (
    Column("broadcast", lambda row: row[0].broadcast_id),
    Column("name", lambda row: row[0].name),
    Column("title", lambda row: row[0].content.title),
    Column("state", lambda row: row[0].shown_state),
    Column("audience", lambda row: labels.audience(row[0])),
    Column("created_at", lambda row: row[0].created_at),
    Column("started_at", lambda row: row[0].started_at),
    Column("devices", lambda row: row[0].devices),
    *(Column(ending, _ended(ending)) for ending in ENDINGS),
)
_RESULTS: Sequence[Column[Tally]] = (
    Column("platform", lambda one: one.platform),
    Column("ending", lambda one: one.ending),
    Column("reason", lambda one: one.reason),
    Column("because", lambda one: labels.because(one.reason)),
    Column("provider_reason", lambda one: one.provider_reason),
    Column("pushes", lambda one: one.pushes),
    Column("last_at", lambda one: one.last_at),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of broadcasts."""
    room = _Broadcasts(context)
    here, one = "/w/{workspace}/broadcasts", "/w/{workspace}/broadcasts/{broadcast}"
    operator = Role.OPERATOR
    return [
        view(here, room.show_all),
        view(f"{here}.csv", room.csv),
        view(one, room.show),
        view(f"{one}/live", room.live),
        view(f"{one}/results.csv", room.results_csv),
        action(f"{one}/preflight", "broadcast.preflight", room.preflight, room.show, operator),
        action(f"{one}/start", "broadcast.start", room.start, room.show, operator),
        action(f"{one}/pause", "broadcast.pause", room.pause, room.show, operator),
        action(f"{one}/resume", "broadcast.resume", room.resume, room.show, operator),
        action(f"{one}/cancel", "broadcast.cancel", room.cancel, room.show, operator),
    ]


class _Broadcasts:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._room = context.services.broadcasts
        self._names = context.cookies
        self._live = LiveStreams(context.ending)

    async def show_all(self, request: PageRequest) -> Response:
        found = await self._page(request, request.asked_number("start"), ROWS)
        following = f"{request.to('broadcasts')}?{urlencode({'start': found.following})}"
        return page(
            request,
            "broadcasts.html",
            rows=found.rows,
            states=states_of(found.rows),
            next=following if found.following else None,
        )

    async def csv(self, request: PageRequest) -> Response:
        async def read(before: int | None) -> Page[Row, int | None]:
            return await self._page(request, before, CSV_ROWS)

        return await csv_of_pages("broadcasts", _COLUMNS, read, None)

    async def show(self, request: PageRequest) -> Response:
        """One broadcast: the estimate of a draft, or the progress and results."""
        standing = await self._standing(request)
        facts = _facts(standing)
        if facts["state"] == "draft":
            template = await template_of(self._context, request.workspace_id, standing.broadcast)
            facts["editable"] = can_be_typed(standing.broadcast, template)
        if facts["begun"]:
            facts["chart"] = await self._chart(request)
        if request.fragment:
            return page(request, "broadcast_standing.html", **facts)
        said = await self._room.shown(request.workspace_id, standing.broadcast)
        return page(request, "broadcast.html", **facts, said=said)

    async def live(self, request: PageRequest) -> Response:
        """How it goes, as it goes; once it stands otherwise than the page has it (`state`), that and no more."""
        number = request.number("broadcast", "broadcast")
        await self._room.one(request.workspace_id, number)

        async def ask() -> tuple[dict[str, Any], dict[str, Any]]:
            standing = await self._room.standing(request.workspace_id, number)
            return _facts(standing), await self._chart(request)

        async def look_again() -> Frame:
            facts, chart = await self._live.shared(number, ask)
            shown = page(request, "broadcast_progress.html", **facts, chart=chart)
            return Frame(shown.body.decode(), facts["stands"])

        return self._live.answer(request.asked("state"), look_again)

    async def results_csv(self, request: PageRequest) -> Response:
        standing = await self._standing(request)
        return csv_of("results", _RESULTS, standing.tallies)

    async def preflight(self, request: PageRequest) -> ActionResult:
        await self._room.estimate(request.workspace_id, request.number("broadcast", "broadcast"))
        return self._done(request, "Refreshing the estimate.")

    async def start(self, request: PageRequest) -> ActionResult:
        start = partial(self._room.start, version=version_of(request.form))
        return await self._change(request, start, "Broadcast started.")

    async def pause(self, request: PageRequest) -> ActionResult:
        return await self._change(request, self._room.pause, "Broadcast paused.")

    async def resume(self, request: PageRequest) -> ActionResult:
        return await self._change(request, self._room.resume, "Broadcast resumed.")

    async def cancel(self, request: PageRequest) -> ActionResult:
        return await self._change(request, self._room.cancel, "Broadcast cancelled.")

    async def _change(
        self, request: PageRequest, do: Callable[..., Awaitable[Broadcast]], notice: str
    ) -> ActionResult:
        await do(request.actor, request.workspace_id, request.number("broadcast", "broadcast"))
        return self._done(request, notice)

    def _done(self, request: PageRequest, notice: str) -> ActionResult:
        number = request.number("broadcast", "broadcast")
        return ActionResult(answer=see_other(request.to("broadcasts", number), self._names.note(notice)))

    async def _standing(self, request: PageRequest) -> BroadcastStatus:
        return await self._room.standing(request.workspace_id, request.number("broadcast", "broadcast"))

    async def _chart(self, request: PageRequest) -> dict[str, Any]:
        found = await self._room.minutes(request.workspace_id, request.number("broadcast", "broadcast"))
        return chart_of(found)

    async def _page(self, request: PageRequest, before: int | None, limit: int) -> Page[Row, int | None]:
        return await page_of(self._context, request.workspace_id, before, limit)


async def page_of(
    context: Context, workspace: WorkspaceId, before: int | None, limit: int
) -> Page[Row, int | None]:
    """Broadcasts before a number, the newest first, with what came of those that began."""
    found = await context.services.broadcasts.all(workspace, before=before, limit=limit + 1)
    shown = found[:limit]
    newest = shown[0].broadcast_id + 1 if shown else None
    began = await context.services.insights.broadcasts(workspace, before=newest, limit=limit)
    results = {one.broadcast_id: one for one in map(flat, began)}
    rows = [(one, results.get(one.broadcast_id)) for one in shown]
    return Page(rows, shown[-1].broadcast_id if len(found) > limit else None, whole=True)


async def under_way(context: Context, workspace: WorkspaceId) -> list[Row]:
    """Of the latest broadcasts those that are started and not over, with how much of each has come to an end."""
    found = await page_of(context, workspace, None, _LATEST)
    return [row for row in found.rows if row[0].passes and not row[0].is_over]


def states_of(rows: Sequence[Row]) -> dict[int, labels.State]:
    """The state to show of each broadcast, by its number."""
    now = datetime.now(UTC)
    return {
        one.broadcast_id: labels.broadcast_state(
            one, {} if result is None else {name: getattr(result, name) for name in ENDINGS}, now
        )
        for one, result in rows
    }


def chart_of(minutes: Sequence[Minute]) -> dict[str, Any]:
    """What came of pushes over time, as the series of a chart: a bar for each minute, or as many as are to be seen."""
    if not minutes:
        return {"at": [], "series": [], "step_min": 1}
    first, last = (_minute(one.minute) for one in (minutes[0], minutes[-1]))
    step = next((step for step in _STEPS_MIN if (last - first) // step < _MOST_BARS), _STEPS_MIN[-1])
    begins, ends = first - first % step, last - last % step
    counts: dict[str, Counter[int]] = {name: Counter() for name in INKS}
    for one in minutes:
        at = _minute(one.minute)
        counts[OF[one.ending]][at - at % step] += one.pushes
    bars = range(begins, ends + step, step)
    series = [
        {"name": name, "ink": INKS[name], "values": [of[at] for at in bars]}
        for name, of in counts.items()
        if of
    ]
    return {"at": [60 * at for at in bars], "series": series, "step_min": step}


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60


def _details(standing: BroadcastStatus) -> dict[int, list[FailureDetail]]:
    """The details of failures by the place of the first outcome with their reason, so that none is shown twice."""
    found: dict[int, list[FailureDetail]] = {}
    shown: set[str] = set()
    for place, tally in enumerate(standing.tallies):
        if tally.ending == "failed" and tally.reason not in shown:
            shown.add(tally.reason)
            found[place] = [one for one in standing.details if one.reason == tally.reason]
    return found


def _facts(standing: BroadcastStatus) -> dict[str, Any]:
    """What the page of a broadcast shows of how it stands."""
    broadcast, progress = standing.broadcast, standing.progress
    endings, outcomes = Counter[str](), Counter[str]()
    for tally in standing.tallies:
        endings[OF[tally.ending]] += tally.pushes
        outcomes[tally.ending] += tally.pushes
    state, shown = broadcast.shown_state, labels.broadcast_state(broadcast, outcomes, datetime.now(UTC))
    marks = {"over": broadcast.is_over, f"attempt {broadcast.attempts}": broadcast.last_error is not None}
    return {
        "broadcast": broadcast,
        "state": state,
        "shown_state": shown,
        "editable": False,
        # What is still under way ends once more: then nothing of the page changes any more.
        "stands": ", ".join([shown.name, *(mark for mark, is_so in marks.items() if is_so)]),
        # A broadcast with scheduled times has been started, but sends only from the first of them on.
        "begun": bool(broadcast.passes),
        "changes": bool(broadcast.passes) and not broadcast.is_over,
        "progress": progress,
        "endings": endings,
        "bar": {ink: endings[name] for name, ink in INKS.items()},
        "whole": max(progress.devices, endings.total()),
        "tallies": standing.tallies,
        "details": _details(standing),
        "waiting": [one for one in standing.waiting if one.paused],
        "compared": standing.compared,
        "lacks_worker": standing.lacks_worker,
        "no_end": labels.NO_END_BECAUSE.get((progress.unknown or Unknown.OVER).value, ""),
    }
