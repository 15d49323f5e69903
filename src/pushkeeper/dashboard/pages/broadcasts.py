"""Broadcasts: their content, estimate, progress and results."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from pushkeeper.core.broadcasts.progress import Unknown
from pushkeeper.core.broadcasts.results import OUTCOMES, REPORTED
from pushkeeper.core.model import DeviceId
from pushkeeper.core.pagination import Page
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.pages.broadcast_draft import can_be_typed, template_of
from pushkeeper.dashboard.pages.broadcast_form import version_of
from pushkeeper.dashboard.ui import labels
from pushkeeper.dashboard.ui.csv_download import CSV_ROWS, Column, csv_of, csv_of_pages
from pushkeeper.dashboard.ui.live import Frame, LiveStreams
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.dashboard.ui.table import table_view
from pushkeeper.errors import BadRequest
from pushkeeper.services.broadcasts.results import BroadcastSummary, Rank, Rates
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.dashboard.ui.table import TableView
    from pushkeeper.services.broadcasts.render_checks import UnrenderableDevice
    from pushkeeper.services.broadcasts.service import (
        Broadcast,
        BroadcastStatus,
        FailureDetail,
        Minute,
        Tally,
    )
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
_COMPARED, _DIGITS = 2, 18
NAMES = {
    "status": "Status",
    "devices": "Devices",
    "accepted": "Accepted",
    "bounced": "Bounced",
    "failed": "Failed",
    "skipped": "Skipped",
    "delivered": "Delivered",
    "opened": "Opened",
    "clicked": "Clicked",
    "converted": "Converted",
    "audience": "Audience",
}
USUAL = tuple(name for name in NAMES if name not in {"converted", "audience"})
# The order that the heading of a column leads to.
SORTS = {
    "devices": Rank.DEVICES.value,
    "failed": Rank.WORST.value,
    **{rank.value: rank.value for rank in (Rank.DELIVERED, Rank.OPENED, Rank.CLICKED, Rank.CONVERTED)},
}
_STEPS_MIN = (1, 5, 15, 60, 360, 1_440)

METRICS = ("accepted", "bounced", "not_sent", "skipped", "delivered", "opened", "clicked", "converted")


def _count(name: str) -> Callable[[BroadcastSummary], int]:
    return lambda one: getattr(one.results, name)


def _rate(name: str) -> Callable[[BroadcastSummary], float | None]:
    return lambda one: getattr(one.results.rates, name)


_COLUMNS: Sequence[Column[BroadcastSummary]] = (
    Column("broadcast", lambda one: one.broadcast.broadcast_id),
    Column("name", lambda one: one.broadcast.name),
    Column("title", lambda one: one.broadcast.content.title),
    Column("state", lambda one: one.broadcast.shown_state),
    Column("status", lambda one: one.status),
    Column("audience", lambda one: labels.audience(one.broadcast)),
    Column("created_at", lambda one: one.broadcast.created_at),
    Column("started_at", lambda one: one.broadcast.started_at),
    Column("devices", lambda one: one.devices),
    *(Column(ending, _count(ending)) for ending in (*OUTCOMES, *REPORTED)),
    *(Column(f"{name}_rate", _rate(name)) for name in Rates.__struct_fields__),
)
_UNRENDERABLE: Sequence[Column[UnrenderableDevice]] = (
    Column("device", lambda one: one.device_id.hex()),
    Column("platform", lambda one: one.platform),
    Column("cio_id", lambda one: one.cio_id),
    Column("id", lambda one: one.id),
    Column("email", lambda one: one.email),
    Column("problem", lambda one: one.problem),
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
        view(f"{here}/compare", room.compare),
        view(one, room.show),
        view(f"{one}/live", room.live),
        view(f"{one}/results.csv", room.results_csv),
        view(f"{one}/unrenderable", room.unrenderable),
        view(f"{one}/unrenderable.csv", room.unrenderable_csv),
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
        self._live = LiveStreams(context.stopping)

    async def show_all(self, request: PageRequest) -> Response:
        """The newest broadcasts, or those that a column ranks first."""
        view = table_view(request, request.to("broadcasts"), NAMES, USUAL, sorts=list(Rank))
        found, following = await self._ordered(request, view)
        shown = found[: view.size]
        return page(
            request,
            "broadcasts.html",
            rows=shown,
            view=view,
            sorts=SORTS,
            next=view.following(following, len(shown)),
        )

    async def compare(self, request: PageRequest) -> Response:
        """Two broadcasts beside each other."""
        asked = [text for text in request.query.getlist("broadcast") if text.isascii() and text.isdigit()]
        found = await self._room.some(
            request.workspace_id, [int(text) for text in asked[:_COMPARED] if len(text) <= _DIGITS]
        )
        if len(found) != _COMPARED or len(asked) != _COMPARED:
            raise BadRequest("broadcast", "choose two broadcasts to compare")
        return page(request, "broadcast_compare.html", rows=found, metrics=METRICS)

    async def csv(self, request: PageRequest) -> Response:
        async def read(before: int | None) -> Page[BroadcastSummary, int | None]:
            found = await self._room.all(request.workspace_id, before=before, limit=CSV_ROWS + 1)
            shown = found[:CSV_ROWS]
            following = shown[-1].broadcast.broadcast_id if len(found) > CSV_ROWS else None
            return Page(shown, following, whole=True)

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
        """Live progress of a broadcast; after a change of `state` it only reports that change."""
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

    async def unrenderable(self, request: PageRequest) -> Response:
        """For whom the content cannot be rendered."""
        number = request.number("broadcast", "broadcast")
        broadcast = await self._room.one(request.workspace_id, number)
        found = await self._room.estimates.unrenderable(
            request.workspace_id, number, after=_key(request.asked("start"))
        )
        view = table_view(request, request.to("broadcasts", number, "unrenderable"), {}, ())
        following = None if found.following is None else found.following.hex()
        return page(
            request,
            "broadcast_unrenderable.html",
            broadcast=broadcast,
            devices=found.devices,
            view=view,
            next=view.following(following, len(found.devices)),
        )

    async def unrenderable_csv(self, request: PageRequest) -> Response:
        number = request.number("broadcast", "broadcast")

        async def read(after: DeviceId) -> Page[UnrenderableDevice, DeviceId]:
            found = await self._room.estimates.unrenderable(request.workspace_id, number, after=after)
            return Page(found.devices, found.following, whole=True)

        return await csv_of_pages("content-problems", _UNRENDERABLE, read, DeviceId(b""))

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

    async def _ordered(
        self, request: PageRequest, view: TableView
    ) -> tuple[list[BroadcastSummary], int | None]:
        """A page of broadcasts, and where the next one begins."""
        start, workspace = request.asked_number("start") or 0, request.workspace_id
        is_newest, limit = not view.sort and not view.reverse, view.size + 1
        if is_newest:
            found = await self._room.all(workspace, before=start or None, limit=limit)
        else:
            rank = Rank(view.sort or Rank.NEWEST)
            found = await self._room.ranked(workspace, rank, reverse=view.reverse, offset=start, limit=limit)
        if len(found) < limit:
            return found, None
        return found, found[view.size - 1].broadcast.broadcast_id if is_newest else start + view.size


def _key(text: str) -> DeviceId:
    """The key that a page begins after.

    Raises:
        BadRequest: the address was not ours.
    """
    try:
        return DeviceId(bytes.fromhex(text))
    except ValueError:
        raise BadRequest("start", "this page address is not valid") from None


async def under_way(context: Context, workspace: WorkspaceId) -> list[BroadcastSummary]:
    """Of the latest broadcasts those that are started and not over."""
    found = await context.services.broadcasts.all(workspace, before=None, limit=_LATEST)
    return [one for one in found if one.broadcast.passes and not one.broadcast.is_over]


def chart_of(minutes: Sequence[Minute]) -> dict[str, Any]:
    """Outcomes over time, as the series of a chart: a bar per minute, or as many as fit."""
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
    """The values for the page of a broadcast."""
    broadcast, progress = standing.broadcast, standing.progress
    summary = standing.summary
    results = summary.results
    endings = {
        "accepted": results.accepted,
        "bounced": results.bounced,
        "failed": results.not_sent,
        "skipped": results.skipped,
    }
    waiting = Counter[str]()
    for one in standing.waiting:
        if one.paused:
            waiting[one.paused] += one.devices
    marks = {"over": broadcast.is_over, f"attempt {broadcast.attempts}": broadcast.last_error is not None}
    return {
        "broadcast": broadcast,
        "state": broadcast.shown_state,
        "summary": summary,
        "editable": False,
        # What is still under way ends once more: then nothing of the page changes any more.
        "stands": ", ".join([summary.status.value, *(mark for mark, is_so in marks.items() if is_so)]),
        # A broadcast with scheduled times has been started, but sends only from the first of them on.
        "begun": bool(broadcast.passes),
        "changes": bool(broadcast.passes) and not broadcast.is_over,
        "progress": progress,
        "endings": endings,
        "bar": {ink: endings[name] for name, ink in INKS.items()},
        "whole": max(progress.devices, results.processed),
        "tallies": standing.tallies,
        "details": _details(standing),
        "waiting": waiting.items(),
        "compared": standing.compared,
        "lacks_worker": standing.lacks_worker,
        "no_end": labels.NO_END_BECAUSE.get((progress.unknown or Unknown.OVER).value, ""),
    }
