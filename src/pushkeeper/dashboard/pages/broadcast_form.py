"""The broadcast form: its input becomes a request to the native API, with a preview on a phone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.filters.from_text import EVERYBODY
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.pages.audience_preview import COUNTED_WITHIN_S, unit_of
from pushkeeper.dashboard.pages.broadcast_draft import can_be_typed, template_of, when_of, written_of
from pushkeeper.dashboard.ui import datetimes
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.page_request import Form, said_of
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest, Conflict, Forbidden, NotFound, TooManyRequests, TooSlow
from pushkeeper.services import validation
from pushkeeper.services.broadcasts.service import BroadcastState
from pushkeeper.services.messages.templates import TemplateKind
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.broadcasts.creation import BroadcastRequest
    from pushkeeper.services.broadcasts.service import Broadcast
    from pushkeeper.services.messages.preview import PlatformPreview
    from pushkeeper.web.response import Response

_HOUR_S = 3_600
_MOST_HOURS = 28 * 24
_SAYS = ("title", "message", "link", "image_url")
_DELIVERED = ("collapse_id", "ttl_s", "priority")
_OTHERWISE = ("ios", "android")
_TICKS = ("send_to_unsubscribed", "skip_without_permission", "one_per_phone", "dry_run")
_WITHIN = ("content", "schedule", "window", "throttle", "audience")


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of broadcasts that are being written."""
    compose = _Compose(context)
    here = "/w/{workspace}/broadcasts"
    return [
        view(f"{here}/new", compose.form, Role.OPERATOR),
        action(f"{here}/new", "broadcast.make", compose.make, compose.form, Role.OPERATOR),
        view(f"{here}/{{broadcast}}/edit", compose.edit, Role.OPERATOR),
        action(f"{here}/{{broadcast}}/edit", "broadcast.change", compose.change, compose.edit, Role.OPERATOR),
        view(f"{here}/preview", compose.preview, Role.OPERATOR),
        view(f"{here}/size", compose.size, Role.OPERATOR),
    ]


class _Compose:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._broadcasts = context.services.broadcasts
        self._audiences = context.services.audiences
        self._templates = context.services.templates
        self._read = context.read_broadcast

    async def form(self, request: PageRequest) -> Response:
        """An empty form, or one with another broadcast's content (`from`) or for an audience (`audience`)."""
        written: Mapping[str, str] = {}
        if not request.form.is_sent:
            number = request.asked_number("from")
            if number is not None:
                like = await self._broadcasts.one(request.workspace_id, number)
                template = await template_of(self._context, request.workspace_id, like)
                written = written_of(like, template)
            elif audience := request.asked("audience"):
                written = {"filter": audience, "unit": unit_of(request.asked("unit")).value}
            elif number_of_it := request.asked("template"):
                written = {"template": number_of_it}
        return await self._shown(request, written, None)

    async def edit(self, request: PageRequest) -> Response:
        """A draft, to be changed."""
        draft = await self._broadcasts.one(request.workspace_id, request.number("broadcast", "broadcast"))
        if draft.state is not BroadcastState.DRAFT:
            raise Conflict(
                f"Broadcast {draft.broadcast_id} is {draft.shown_state}; only drafts can be edited"
            )
        template = await template_of(self._context, request.workspace_id, draft)
        if not can_be_typed(draft, template):
            raise NotFound("This draft uses options that only the API can change")
        version = str(draft.version)
        if isinstance(request.form.problem, Conflict):
            # The author saw that it was modified: submitting again overwrites it.
            request = request.with_form(values={**request.form.values, "version": [version]})
        written = {**written_of(draft, template), **when_of(draft), "version": version}
        return await self._shown(request, written, draft)

    async def _shown(
        self, request: PageRequest, written: Mapping[str, str], draft: Broadcast | None
    ) -> Response:
        """The form, with the input or the stored values."""
        if not request.form.is_sent:
            request = replace(request, form=Form({name: [text] for name, text in written.items()}))
        templates = await self._templates.all(request.workspace_id, TemplateKind.BROADCAST)
        named = [("", "None"), *((str(one.template_id), one.name) for one in templates)]
        return page(request, "compose.html", templates=named, draft=draft)

    async def make(self, request: PageRequest) -> ActionResult:
        """Save a draft, and redirect to its estimate."""
        asked = self._asked(request.form)
        return await self._kept(
            request, lambda: self._broadcasts.create(request.actor, request.workspace_id, asked)
        )

    async def change(self, request: PageRequest) -> ActionResult:
        """Let the draft be so."""
        number, asked = request.number("broadcast", "broadcast"), self._asked(request.form)
        await self._broadcasts.one(request.workspace_id, number)
        version = version_of(request.form)
        return await self._kept(
            request,
            lambda: self._broadcasts.change(
                request.actor, request.workspace_id, number, asked, version=version
            ),
        )

    async def _kept(self, request: PageRequest, keep: Callable[[], Awaitable[Broadcast]]) -> ActionResult:
        try:
            made = await keep()
        except BadRequest as error:
            raise _beside_its_field(error) from None
        except NotFound as error:
            raise BadRequest("template", error.message, is_sentence=True) from None
        return ActionResult(answer=see_other(request.to("broadcasts", made.broadcast_id)))

    async def preview(self, request: PageRequest) -> Response:
        """What is typed, as phones show it."""
        said, problem = [], ""
        try:
            said = await self._previewed(request)
        except (BadRequest, NotFound, Forbidden) as error:
            # Half of a filter is no filter: the preview says less, the form itself says what is wrong.
            problem = said_of(error)
        return page(request, "phones.html", said=said, problem=problem)

    async def _previewed(self, request: PageRequest) -> list[PlatformPreview]:
        typed = {name: request.asked(name) for name in request.query}
        typed["filter"] = typed.get("filter") or EVERYBODY
        asked = self._asked(Form({name: [text] for name, text in typed.items()}))
        try:
            return await self._broadcasts.preview(request.workspace_id, asked)
        except BadRequest as error:
            raise _beside_its_field(error) from None

    async def size(self, request: PageRequest) -> Response:
        """How many what is typed is true of."""
        text, unit = request.asked("filter"), unit_of(request.asked("unit"))
        size, problem = None, None
        if text:
            try:
                size = await self._audiences.estimate(
                    request.workspace_id, text, unit, within_s=COUNTED_WITHIN_S
                )
            except (BadRequest, TooSlow, TooManyRequests) as error:
                problem = error
        return page(request, "compose_size.html", text=text, size=size, problem=problem)

    def _asked(self, form: Form) -> BroadcastRequest:
        try:
            asked, _ = self._read(body_of(form))
        except BadRequest as error:
            raise _beside_its_field(error) from None
        return asked


def body_of(form: Form) -> dict[str, Any]:
    """The request body of the native API.

    Raises:
        BadRequest: a field's text has the wrong type; the API validates the rest.
    """
    template = form.text("template")
    return {
        "name": form.text("name"),
        "template": _number("template", template) if template else None,
        "content": _content(form),
        "data": _json(form, "data"),
        "event": form.text("event"),
        "when_undefined": form.text("when_undefined") or None,
        "audience": {"filter": _filter(form), "unit": form.text("unit") or Unit.DEVICE.value},
        "schedule": _schedule(form),
        "window": _window(form),
        "throttle": _throttle(form),
        "expires_after_s": _life_s(form),
        # Unchecked boxes are sent as well: a template's option for unsubscribed people must not override the form.
        **{name: form.ticked(name) for name in _TICKS},
    }


def version_of(form: Form) -> int | None:
    """The version that the draft had on the page with the form.

    Raises:
        BadRequest: it is not a number.
        Conflict: the page is of a former release, which had none.
    """
    if form.text("seen") and not form.text("version"):
        raise Conflict("This page is from an earlier release; reload it")
    return validation.optional_whole(
        int(text) if (text := form.text("version")).isdecimal() else text or None,
        "version",
        least=1,
        most=2**31 - 1,
    )


def _content(form: Form) -> dict[str, Any]:
    content: dict[str, Any] = {name: text for name in _SAYS if (text := form.text(name))}
    for platform in _OTHERWISE:
        otherwise = {name: text for name in ("title", "message") if (text := form.text(f"{platform}_{name}"))}
        if otherwise:
            content[platform] = otherwise
    if form.text("collapse_id"):
        content["collapse_id"] = form.text("collapse_id")
    if form.text("ttl_s"):
        content["ttl_s"] = _number("ttl_s", form.text("ttl_s"))
    if form.text("priority"):
        content["priority"] = form.text("priority")
    return {**content, "custom_data": _json(form, "custom_data")}


def _filter(form: Form) -> str:
    text = form.text("filter")
    if not text:
        raise BadRequest("filter", "enter an audience; use everybody for all devices")
    return text


def _json(form: Form, name: str) -> Any:  # noqa: ANN401 - JSON
    text = form.text(name)
    try:
        return msgspec.json.decode(text) if text else {}
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest(name, 'expected a JSON object, such as {"price": "9.90"}', "wrong_type") from None


def _number(name: str, text: str) -> int | float:
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not abs(found) < 2**53:
        raise BadRequest(name, "expected a number")
    return int(found) if found.is_integer() else found


def _schedule(form: Form) -> dict[str, Any] | None:
    """When it goes out; a time that is typed is of the zone that the form names, which is the browser's."""
    match form.text("when"):
        case "at":
            return {"at": datetimes.typed(form.text("at"), form.text("zone"), "at").isoformat()}
        case "local":
            if not form.text("local_time"):
                raise BadRequest("local_time", "expected a date and a time")
            zone = form.text("time_zone")
            return {"local_time": form.text("local_time"), **({"time_zone": zone} if zone else {})}
    return None


def _window(form: Form) -> dict[str, Any] | None:
    hours = {name: form.text(name) for name in ("opens", "closes")}
    return hours if any(hours.values()) else None


def _throttle(form: Form) -> dict[str, Any] | None:
    text = form.text("rate")
    if not text:
        return None
    unit = "per_minute" if form.text("rate_per") == "minute" else "per_second"
    return {unit: _number("rate", text)}


def _life_s(form: Form) -> int | None:
    text = form.text("expires_after_h")
    if not text:
        return None
    hours = _number("expires_after_h", text)
    if not 0 < hours <= _MOST_HOURS or hours * _HOUR_S < 60:  # noqa: PLR2004 - a minute
        raise BadRequest("expires_after_h", f"expected up to {_MOST_HOURS} hours", "out_of_range")
    return round(hours * _HOUR_S)


def _beside_its_field(error: BadRequest) -> BadRequest:
    """The same error, for the form field that caused it."""
    match error.path:
        case (outer, inner, *rest) if outer in _WITHIN:
            path = (inner, *rest)
        case path:
            pass
    match path:
        case ("per_second" | "per_minute", *_):
            return error.at("rate")
        case (str(platform), str(name), *rest) if platform in _OTHERWISE:
            return error.at((f"{platform}_{name}", *rest))
    return error.at(path)
