"""Imports: a file is uploaded, tried, applied and verified."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.csv_download import Column, csv_of
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest
from pushkeeper.services import typed
from pushkeeper.services.schemas.imports import ImportRequest, ImportView
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.imports.service import Import
    from pushkeeper.web.response import Response

SOURCES = {
    "onesignal": "OneSignal (CSV export)",
    "pinpoint": "Amazon Pinpoint (export job)",
    "sns": "Amazon SNS (list-endpoints-by-platform-application)",
    "customerio": "Customer.io (people with devices)",
    "fcm-django": "fcm-django (dumpdata)",
    "django-push-notifications": "django-push-notifications (dumpdata)",
    "parse": "Parse (_Installation)",
    "firebase": "Firebase (registration tokens)",
    "generic": "Any CSV or JSON lines",
    "pushkeeper": "Pushkeeper (export)",
}
_FIELDS = ("source", "environment", "app", "status", "mapping", "person_from")
_PROBED = 100
_COLUMNS: Sequence[Column[ImportView]] = (
    Column("import", lambda one: one.id),
    Column("source", lambda one: one.source),
    Column("name", lambda one: one.name),
    Column("apply", lambda one: one.apply),
    Column("state", lambda one: one.state),
    Column("rows", lambda one: one.rows),
    Column("people_new", lambda one: one.people.new),
    Column("devices_new", lambda one: one.devices.new),
    Column("skipped", lambda one: sum(one.skipped.values())),
    Column("created_at", lambda one: one.created_at),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of imports."""
    room = _Imports(context)
    here, one = "/w/{workspace}/imports", "/w/{workspace}/imports/{import}"
    admin = Role.ADMIN
    return [
        view(here, room.show_all),
        view(f"{here}.csv", room.csv),
        view(f"{here}/new", room.form, admin),
        action(f"{here}/new", "import.make", room.make, room.form, admin, takes_file=True),
        view(one, room.show),
        action(f"{one}/apply", "import.apply", room.apply, room.show, admin),
        action(f"{one}/map", "import.map", room.map, room.show, admin),
        action(f"{one}/cancel", "import.cancel", room.cancel, room.show, admin),
    ]


class _Imports:
    def __init__(self, context: Context) -> None:
        self._imports = context.services.imports
        self._jobs = context.services.jobs
        self._names = context.cookies

    async def show_all(self, request: PageRequest) -> Response:
        """The last hundred imports."""
        return page(request, "imports.html", imports=await self._all(request), sources=SOURCES)

    async def csv(self, request: PageRequest) -> Response:
        return csv_of("imports", _COLUMNS, await self._all(request))

    async def _all(self, request: PageRequest) -> list[ImportView]:
        return [ImportView.of(one) for one in await self._imports.all(request.workspace_id)]

    async def form(self, request: PageRequest) -> Response:
        """What is uploaded, and how it is read."""
        return page(request, "import_new.html", sources=SOURCES)

    async def make(self, request: PageRequest) -> ActionResult:
        """Store the file as it comes, and try it."""
        form, upload = request.form, request.form.upload
        assert upload is not None  # noqa: S101 - the route takes a file
        fields: dict[str, Any] = {name: form.raw(name) for name in _FIELDS if form.text(name)}
        probe = _PROBED if form.ticked("probe") else 0
        asked = typed.read({**fields, "move": form.ticked("move"), "probe": probe}, ImportRequest)
        if not upload.name:
            raise BadRequest("file", "is required", "missing")
        async with aclosing(upload.content) as content:
            made = await self._imports.make(
                request.actor, request.workspace_id, asked.wanted(upload.name), content
            )
        return self._to(request, made, "File uploaded. The dry run changes nothing.")

    async def show(self, request: PageRequest) -> Response:
        """The progress of an import, and its report."""
        found = await self._found(request)
        shown = ImportView.of(found)
        waits = shown.state == "pending" and not await self._jobs.workers()
        return page(
            request,
            "import_live.html" if request.fragment else "import.html",
            one=shown,
            mapping=found.mapping or "",
            columns=await self._imports.columns(found) if shown.state == "done" else [],
            lacks_worker=waits,
            sources=SOURCES,
        )

    async def apply(self, request: PageRequest) -> ActionResult:
        return await self._change(request, self._imports.apply, "Import started.")

    async def cancel(self, request: PageRequest) -> ActionResult:
        return await self._change(request, self._imports.cancel, "Import cancelled.")

    async def map(self, request: PageRequest) -> ActionResult:
        number = request.number("import", "import")
        mapping = request.form.raw("mapping") if request.form.text("mapping") else None
        made = await self._imports.map(request.actor, request.workspace_id, number, mapping)
        return self._to(request, made, "Trying the new mapping.")

    async def _change(
        self, request: PageRequest, do: Callable[..., Awaitable[Import]], notice: str
    ) -> ActionResult:
        made = await do(request.actor, request.workspace_id, request.number("import", "import"))
        return self._to(request, made, notice)

    async def _found(self, request: PageRequest) -> Import:
        return await self._imports.one(request.workspace_id, request.number("import", "import"))

    def _to(self, request: PageRequest, made: Import, notice: str) -> ActionResult:
        return ActionResult(answer=see_other(request.to("imports", made.import_id), self._names.note(notice)))
