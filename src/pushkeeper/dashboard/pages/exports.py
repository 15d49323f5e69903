"""Exports: what is exported is chosen here, the file comes as the answer, and the list says who exported what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.exports import columns
from pushkeeper.core.exports.columns import ATTRIBUTE, PERSON_ATTRIBUTE, Exportable
from pushkeeper.core.exports.writers import ExportFormat
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest, Forbidden
from pushkeeper.services.exports.service import LONGEST_S, NewExport
from pushkeeper.services.schemas.exports import ExportView
from pushkeeper.web import response
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.web.response import Response

_KINDS = {kind.value: kind for kind in Exportable}


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of exports."""
    exports = _Exports(context)
    here = "/w/{workspace}/exports"
    return [
        view(here, exports.show),
        view(f"{here}/list", exports.listed),
        action(here, "export.make", exports.make, exports.show, Role.VIEWER),
        action(f"{here}/{{export}}/cancel", "export.cancel", exports.cancel, exports.show, Role.OPERATOR),
    ]


class _Exports:
    def __init__(self, context: Context) -> None:
        self._exports = context.services.exports
        self._audiences = context.services.audiences
        self._names = context.cookies

    async def show(self, request: PageRequest) -> Response:
        """The form for one kind, and the list."""
        form = request.form
        kind = _KINDS.get(form.text("kind") or request.asked("kind"), Exportable.DEVICES)
        audiences = await self._audiences.segments(request.workspace_id)
        known = () if kind is Exportable.MEMBERS else columns.of(kind)
        ticked = form.every("columns") if form.is_sent else [one.name for one in known if one.usual]
        return page(
            request,
            "exports.html",
            kind=kind,
            kinds=list(Exportable),
            known=known,
            ticked=set(ticked),
            formats=_formats(request, kind),
            audiences=[(str(one.segment_id), one.name) for one in audiences],
            audience=request.asked("audience"),
            filter=form.text("filter") if form.is_sent else request.asked("filter"),
            exports=await self._all(request),
        )

    async def listed(self, request: PageRequest) -> Response:
        """The list alone, as it is now."""
        return page(request, "exports_list.html", exports=await self._all(request))

    async def make(self, request: PageRequest) -> ActionResult:
        """The file, while it is read."""
        form = request.form
        if (kind := _KINDS.get(form.text("kind"))) is None:
            raise BadRequest("kind", f"expected one of {', '.join(_KINDS)}")
        whole = form.text("tokens") == "full"
        if whole and not request.may(Role.ADMIN):
            raise Forbidden("Only admins export whole tokens")
        wanted = NewExport(
            kind=kind,
            format=_format(form.text("format")),
            filter=form.text("filter") or None,
            columns=_columns(request),
            audience=_audience(request) if kind is Exportable.MEMBERS else None,
            whole_tokens=whole,
        )
        stream = await self._exports.stream(request.actor, request.workspace_id, wanted, longest_s=LONGEST_S)
        assert request.workspace is not None  # noqa: S101 - the gate looked it up
        name = f"{request.workspace.name}-{stream.file_name}"
        return ActionResult(answer=response.download(name, stream.parts))

    async def cancel(self, request: PageRequest) -> ActionResult:
        number = request.number("export", "export")
        await self._exports.cancel(request.actor, request.workspace_id, number)
        notice = self._names.note(f"Export {number} was cancelled.")
        return ActionResult(answer=see_other(request.to("exports"), notice))

    async def _all(self, request: PageRequest) -> list[ExportView]:
        return [ExportView.of(one) for one in await self._exports.all(request.workspace_id)]


def _formats(request: PageRequest, kind: Exportable) -> list[tuple[str, str]]:
    names = [("csv", "CSV"), ("jsonl", "JSON Lines")]
    # It is of no use without whole tokens.
    if kind is Exportable.DEVICES and request.may(Role.ADMIN):
        names.append(("onesignal", "CSV for OneSignal"))
    return names


def _format(text: str) -> ExportFormat:
    try:
        return ExportFormat(text or "csv")
    except ValueError:
        raise BadRequest("format", f"expected one of {', '.join(ExportFormat)}") from None


def _columns(request: PageRequest) -> list[str] | None:
    """Those that are ticked, and the attributes that are named; of a kind without a choice, and of OneSignal's format, none."""
    form = request.form
    if form.text("kind") == Exportable.MEMBERS or form.text("format") == ExportFormat.ONESIGNAL:
        return None
    named = [one.strip() for one in form.text("attributes").split(",") if one.strip()]
    prefixes = (ATTRIBUTE, PERSON_ATTRIBUTE)
    attributes = [one if one.startswith(prefixes) else f"{ATTRIBUTE}{one}" for one in named]
    return [*form.every("columns"), *attributes]


def _audience(request: PageRequest) -> int:
    text = request.form.text("audience")
    if not text.isascii() or not text.isdigit():
        raise BadRequest("audience", "choose an audience")
    return int(text)
