"""Revert bounces: a preview, and then exactly the previewed revert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pushkeeper.core.delivery.status_replay import StrikeFilter
from pushkeeper.core.identity import cio_id
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.pages import people
from pushkeeper.dashboard.ui import datetimes, labels
from pushkeeper.dashboard.ui.csv_download import Column, csv_of, csv_of_pages
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.dashboard.ui.undo_jobs import UndoJobs
from pushkeeper.errors import BadRequest, Conflict, NotFound, TooManyRequests, TooSlow
from pushkeeper.services.strikes import StrikeSelector
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pushkeeper.core.pagination import Page
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.strikes import Example, Undo, UndoResult
    from pushkeeper.web.response import Response

_LAST = 100
_MAX_WHY_CHARACTERS = 300
_MAX_REASON_CHARACTERS = 300
_FIELDS = ("since", "until", "zone", "of", "reason", "only")
_COLUMNS: Sequence[Column[Undo]] = (
    Column("undo", lambda one: one.undo_id),
    Column("begun_at", lambda one: one.created_at),
    Column("finished_at", lambda one: one.finished_at),
    Column("since", lambda one: one.selection.get("since")),
    Column("until", lambda one: one.selection.get("until")),
    Column("route", lambda one: one.selection.get("route")),
    Column("credential", lambda one: one.selection.get("credential")),
    Column("reason", lambda one: one.selection.get("reason")),
    Column("only", lambda one: one.selection.get("only")),
    Column("strikes", lambda one: one.strikes),
    Column("devices", lambda one: one.devices),
    Column("meant_devices", lambda one: one.meant_devices),
    Column("why", lambda one: one.why),
)
_CHANGES: Sequence[Column[Example]] = (
    Column("device", lambda one: one.before.device_id.hex()),
    Column("token", lambda one: one.before.token.masked),
    Column("platform", lambda one: one.before.platform.value),
    Column("cio_id", lambda one: cio_id(one.before.person_id)),
    Column("last_status", lambda one: one.before.status.value),
    Column("strikes", lambda one: one.before.strikes),
    Column("last_status_then", lambda one: one.after.status.value),
    Column("strikes_then", lambda one: one.after.strikes),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of reverts; the preview is for users who may revert."""
    undo = _Undo(context)
    here, role = "/w/{workspace}/undo", Role.ADMIN
    return [
        view(here, undo.show, role),
        view(f"{here}.csv", undo.csv, role),
        view(f"{here}/devices.csv", undo.devices_csv, role),
        view(f"{here}/former", undo.show_former, role),
        action(here, "strikes.undo", undo.do, undo.show, role),
        action(f"{here}/{{undo}}/go-on", "strikes.resume", undo.go_on, undo.show, role),
    ]


@dataclass(frozen=True, slots=True)
class UndoPreview:
    """The effect of a revert, as previewed; equal previews have equal `seal`s."""

    meant: StrikeSelector
    outcome: UndoResult

    @property
    def seal(self) -> str:
        """A hash of the preview, so that the button reverts exactly that or nothing."""
        turned = sorted(
            f"{before or 'unused'}>{after or 'unused'}:{count}"
            for (before, after), count in self.outcome.changed.items()
        )
        outcome = self.outcome
        return " ".join(
            str(part) for part in (outcome.strikes, outcome.devices, outcome.unchanged, outcome.gone, *turned)
        )


class _Undo:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._strikes = context.services.strikes
        self._routing = context.services.routes
        self._listings = context.services.listings
        self._names = context.cookies
        self._undoing = UndoJobs(context.services.strikes)

    async def show(self, request: PageRequest) -> Response:
        """The form, the preview if a period is given, and past reverts."""
        asked, problem = _asked(request), request.form.problem
        shown: UndoPreview | None = None
        if asked["since"]:
            try:
                shown = await self._tried(request, asked)
            except (BadRequest, NotFound, TooSlow, TooManyRequests) as error:
                problem = error
        told = request.with_form(
            values={**_as_form(asked), "why": [request.form.text("why")]}, problem=problem
        )
        routes = [facts.route for facts in await self._routing.all(request.workspace_id)]
        described = await self._listings.known(request.workspace_id)
        return page(
            told,
            "undo.html",
            shown=shown,
            named=await people.named(
                self._context,
                request,
                (one.before.person_id for one in shown.outcome.examples) if shown else (),
            ),
            asked=asked,
            ways=_ways([(route.name, route.of_credential) for route in routes]),
            reasons=described.of_devices.get("failure_reason", ()),
            former=await self._strikes.all(request.workspace_id, limit=_LAST),
        )

    async def show_former(self, request: PageRequest) -> Response:
        """Past reverts, and the progress of the running one."""
        return page(
            request, "undo_former.html", former=await self._strikes.all(request.workspace_id, limit=_LAST)
        )

    async def csv(self, request: PageRequest) -> Response:
        return csv_of("undone", _COLUMNS, await self._strikes.all(request.workspace_id, limit=_LAST))

    async def devices_csv(self, request: PageRequest) -> Response:
        """All devices that would change, before and after."""
        meant = _meant(_asked(request))

        async def read(after: bytes) -> Page[Example, bytes]:
            return await self._strikes.changes(request.workspace_id, meant, after=after)

        return await csv_of_pages("would-change", _CHANGES, read, b"")

    async def do(self, request: PageRequest) -> ActionResult:
        """Revert the bounces, if the effect is still the previewed one."""
        asked, why = _asked(request), request.form.text("why").replace("\0", "")
        if not why or len(why) > _MAX_WHY_CHARACTERS:
            raise BadRequest("why", f"expected 1 to {_MAX_WHY_CHARACTERS} characters")
        shown = await self._tried(request, asked)
        if shown.seal != request.form.text("seal"):
            raise Conflict("The preview is out of date. Review the new preview below")
        number = await self._strikes.begin(request.actor, request.workspace_id, shown.meant, why=why)
        return await self._done(request, number)

    async def go_on(self, request: PageRequest) -> ActionResult:
        """Continue an interrupted revert."""
        number = request.number("undo", "undo")
        await self._strikes.resume(request.actor, request.workspace_id, number)
        return await self._done(request, number)

    async def _done(self, request: PageRequest, number: int) -> ActionResult:
        outcome = await self._undoing.go_on(request.workspace_id, number)
        if outcome is None:
            said = "Reverting in the background. See progress below."
        else:
            changed = sum(outcome.changed.values())
            said = (
                f"{labels.plural(outcome.strikes, 'bounce')} reverted on {labels.plural(changed, 'device')}."
            )
        return ActionResult(answer=see_other(request.to("undo"), self._names.note(said)))

    async def _tried(self, request: PageRequest, asked: Mapping[str, str]) -> UndoPreview:
        meant = _meant(asked)
        outcome = await self._strikes.preview(request.workspace_id, meant)
        return UndoPreview(meant, outcome)


def _asked(request: PageRequest) -> dict[str, str]:
    """The form's values: its input, else the query's."""
    read: Callable[[str], str] = request.form.text if request.form.is_sent else request.asked
    return {name: read(name).replace("\0", "") for name in _FIELDS}


def _as_form(asked: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """The same for display; by default, the last hour."""
    now = datetime.now(UTC)
    usual = {
        "since": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M}",
        "until": f"{now:%Y-%m-%dT%H:%M}",
        "only": StrikeFilter.ALL.value,
    }
    typed = {name: _for_field(asked[name], asked["zone"]) for name in ("since", "until")}
    found = {name: typed.get(name, asked[name]) or usual.get(name, "") for name in _FIELDS}
    return {name: [text] for name, text in found.items()}


def _for_field(text: str, zone: str) -> str:
    """A time for the field, in UTC; invalid text unchanged."""
    try:
        return f"{datetimes.typed(text, zone, 'since'):%Y-%m-%dT%H:%M}"
    except BadRequest:
        return text


def _meant(asked: Mapping[str, str]) -> StrikeSelector:
    """The bounces to revert; never future ones, which have no preview.

    Raises:
        BadRequest: a value is invalid.
    """
    now = datetime.now(UTC)
    of, _, name = asked["of"].partition(" ")
    if of not in {"", "route", "credential"} or (of and not name):
        raise BadRequest("of", "choose a route or credential from the list")
    if len(asked["reason"]) > _MAX_REASON_CHARACTERS:
        raise BadRequest("reason", f"at most {_MAX_REASON_CHARACTERS} characters", "out_of_range")
    try:
        only = StrikeFilter(asked["only"] or StrikeFilter.ALL)
    except ValueError:
        raise BadRequest("only", "expected all or suppressed") from None
    return StrikeSelector(
        since=datetimes.typed(asked["since"], asked["zone"], "since"),
        until=min(datetimes.typed(asked["until"], asked["zone"], "until"), now) if asked["until"] else now,
        route=name if of == "route" else None,
        credential=name if of == "credential" else None,
        reason=asked["reason"] or None,
        only=only,
    )


def _ways(routes: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What strikes may be of, to be chosen from: routes, and credentials that have several."""
    found = [("", "Any route")]
    found += [(f"route {name}", name) for name, _ in routes]
    several = [one for one in dict.fromkeys(of for _, of in routes) if sum(of == one for _, of in routes) > 1]
    return found + [(f"credential {one}", f"All routes of {one}") for one in several]
