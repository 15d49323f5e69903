"""Devices: found by a filter, paged through, and one of them with all that happened to it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pushkeeper.core.devices.tokens import token_of
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id, person_of_cio_id
from pushkeeper.core.model import Content, DeviceId, PersonId
from pushkeeper.core.pagination import Page
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.pages import timeline
from pushkeeper.dashboard.ui import filter_completion, labels
from pushkeeper.dashboard.ui.csv_download import CSV_ROWS, Column, csv_of_pages
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.page_request import MAX_QUERY_CHARACTERS
from pushkeeper.dashboard.ui.render import data, page
from pushkeeper.dashboard.ui.table import table_view
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.services.listings import FIRST_DEVICE as FIRST
from pushkeeper.services.listings import DeviceKey as Key
from pushkeeper.services.messages.transactional import TransactionalPush
from pushkeeper.services.people import PersonReference
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.pages.timeline import Event, Timeline
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.listings import ShownDevice
    from pushkeeper.web.response import Response

_COUNTED_WHOLE = 20_000  # devices, which are counted as fast as a sample of many is
_SHORTEST_TOKEN = 20
_NAMES = {
    "status": "Last status",
    "platform": "Platform",
    "app_version": "App version",
    "person": "Person",
    "email": "Email",
    "app": "App",
    "environment": "Environment",
    "strikes": "Consecutive bounces",
    "registered": "Registered",
    "last_used": "Last used",
}
_USUAL = ("status", "platform", "app_version", "person", "last_used")
COLUMNS: Sequence[Column[ShownDevice]] = (
    Column("device", lambda one: one.device.device_id.hex()),
    Column("token", lambda one: one.device.token.masked),
    Column("platform", lambda one: one.device.platform),
    Column("last_status", lambda one: labels.STATUS_NAMES[one.device.status]),
    Column("failure_reason", lambda one: one.failure_reason),
    Column("person_id", lambda one: one.id),
    Column("person_email", lambda one: one.email),
    Column("person_cio_id", lambda one: cio_id(one.device.person_id)),
    Column("app", lambda one: one.device.app),
    Column("environment", lambda one: one.device.environment),
    Column("attributes", lambda one: one.device.attributes),
    Column("registered_at", lambda one: one.device.registered_at),
    Column("last_used", lambda one: one.device.last_used),
)
_EVENTS: Sequence[Column[Event]] = (
    Column("at", lambda one: one.at),
    Column("what", lambda one: one.what),
    Column("from_status", lambda one: one.from_status),
    Column("to_status", lambda one: one.to_status),
    Column("because", lambda one: one.because),
    Column("answer", lambda one: one.answer),
    Column("delivery_id", lambda one: one.delivery_id and str(one.delivery_id)),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of devices."""
    devices = _Devices(context)
    one = "/w/{workspace}/devices/{device}"
    return [
        view("/w/{workspace}/devices", devices.show_all),
        view("/w/{workspace}/devices.csv", devices.csv),
        view("/w/{workspace}/devices/count", devices.count),
        view("/w/{workspace}/devices/complete", devices.complete),
        action(
            "/w/{workspace}/devices/delete", "devices.delete", devices.delete, devices.show_all, Role.OPERATOR
        ),
        view(one, devices.show),
        view(f"{one}/timeline.csv", devices.timeline_csv),
        action(f"{one}/push", "push.send", devices.push, devices.show, Role.OPERATOR),
    ]


class _Devices:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._listings = context.services.listings

    async def show_all(self, request: PageRequest) -> Response:
        """A page of devices; a whole token leads to its device."""
        text = request.asked("filter")
        if found := await self._of_token(request, text):
            return see_other(request.to("devices", found))
        standing = await self._context.services.reach.now(request.workspace_id)
        total = sum(count.devices for count in standing.devices)
        view = table_view(request, request.to("devices"), _NAMES, _USUAL, kept={"filter": text})
        try:
            node = await self._node(request, text)
        except BadRequest as error:
            told = {"filter": text, "problem": error, "total": total, "shown": None, "next": None}
            return replace(page(request, "devices.html", **told, view=view), status=400)
        shown = await self._listings.devices(
            request.workspace_id, node, after=start_of(request), limit=view.size
        )
        following = view.following(start(shown.following) if shown.following else None, len(shown.rows))
        told = {"filter": text, "problem": None, "total": total, "shown": shown, "next": following}
        return page(request, "devices.html", **told, view=view)

    async def delete(self, request: PageRequest) -> ActionResult:
        """Delete the selected devices."""
        keys = [device_key(text) for text in request.form.every("device")]
        deleted = await self._context.services.bulk.delete_devices(request.actor, request.workspace_id, keys)
        notice = f"{labels.plural(deleted, 'device')} deleted."
        return ActionResult(answer=see_other(request.to("devices"), self._context.cookies.note(notice)))

    async def csv(self, request: PageRequest) -> Response:
        """All devices of which the filter is true."""
        node = await self._node(request, request.asked("filter"))

        async def read(after: Key) -> Page[ShownDevice, Key]:
            return await self._listings.devices(request.workspace_id, node, after=after, limit=CSV_ROWS)

        return await csv_of_pages("devices", COLUMNS, read, FIRST)

    async def count(self, request: PageRequest) -> Response:
        """The number of devices that match: exact if that is fast or requested, else estimated from a sample."""
        text, exact = request.asked("filter"), request.asked("exact") == "yes"
        try:
            node = await self._node(request, text)
        except BadRequest as error:
            return page(request, "devices_count.html", filter=text, problem=error, size=None, share=None)
        standing = await self._context.services.reach.now(request.workspace_id)
        total = sum(count.devices for count in standing.devices)
        size = share = None
        if node is not None and (exact or total <= _COUNTED_WHOLE):
            size = await self._context.services.audiences.size(request.workspace_id, text, Unit.DEVICE)
        elif node is not None:
            share = await self._listings.share_of_devices(request.workspace_id, node)
        return page(
            request, "devices_count.html", filter=text, problem=None, size=size, share=share, total=total
        )

    async def complete(self, request: PageRequest) -> Response:
        """What may come next in a filter that is being typed."""
        # Spaces count here: they say whether a word is whole.
        text = (request.query.get("text") or "")[:MAX_QUERY_CHARACTERS]
        at = request.asked_number("at")
        described = await self._listings.known(request.workspace_id)
        found = filter_completion.complete(text, len(text) if at is None else min(at, len(text)), described)
        return data({"start": found.start, "end": found.end, "offers": found.offers})

    async def show(self, request: PageRequest) -> Response:
        """One device; of one that is gone, what happened to it."""
        device_id = _device_id(request)
        shown = await self._listings.device(request.workspace_id, device_id)
        start = timeline.Start.parse(request.asked("start"))
        told = await self._timeline(request, device_id, shown, start)
        if shown is None and not told.events:
            raise NotFound("Device not found")
        following = (
            f"{request.to('devices', device_id.hex())}?{urlencode({'start': str(told.following)})}"
            if told.following
            else None
        )
        way = None
        if shown is not None:
            [way] = await self._context.services.routes.of_devices(request.workspace_id, [shown.device])
        return page(
            request,
            "device.html",
            shown=shown,
            way=way,
            device_id=device_id.hex(),
            told=told,
            latest=not request.asked("start"),
            next=following,
        )

    async def timeline_csv(self, request: PageRequest) -> Response:
        device_id = _device_id(request)
        shown = await self._listings.device(request.workspace_id, device_id)

        async def read(start: timeline.Start) -> Page[Event, timeline.Start]:
            told = await self._timeline(request, device_id, shown, start)
            return Page(told.events, told.following, whole=True)

        return await csv_of_pages("timeline", _EVENTS, read, timeline.Start())

    async def push(self, request: PageRequest) -> ActionResult:
        """Queue a push to this device alone, and redirect to its result."""
        shown = await self._listings.device(request.workspace_id, _device_id(request))
        if shown is None:
            raise NotFound("Device not found")
        title, message = request.form.text("title"), request.form.text("message")
        if not (title or message):
            raise BadRequest("title", "enter a title or a message")
        device = shown.device
        who = Identifier(IdentifierKind.CIO_ID, cio_id(device.person_id))
        queued = await self._context.services.transactional.send(
            request.actor,
            request.workspace_id,
            TransactionalPush(
                naming=PersonReference(workspace_id=request.workspace_id, path=who, create=False),
                content=Content(title=title or None, message=message or None),
                to=device.token,
            ),
        )
        return ActionResult(answer=see_other(request.to("messages", queued.delivery_id)))

    async def _timeline(
        self, request: PageRequest, device_id: DeviceId, shown: ShownDevice | None, start: timeline.Start
    ) -> Timeline:
        limit = timeline.PAGE + 1
        delivery = partial(self._listings.delivery_ids.of, request.workspace_id)
        lines = await self._listings.device_history(
            request.workspace_id, device_id, before=start.line, limit=limit
        )
        if shown is None:
            return timeline.timeline(start, lines, [], PersonId(0), delivery)
        pushes = await self._listings.device_pushes(shown.device, before=start.message, limit=limit)
        return timeline.timeline(start, lines, pushes, shown.device.person_id, delivery)

    async def _node(self, request: PageRequest, text: str) -> Node | None:
        return await self._context.services.audiences.read(request.workspace_id, text) if text else None

    async def _of_token(self, request: PageRequest, text: str) -> str | None:
        """The key of the device whose token this is, whole."""
        token = token_of(text)
        if len(token.value) < _SHORTEST_TOKEN or any(letter.isspace() for letter in token.value):
            return None
        try:
            device = await self._context.services.people.device(request.workspace_id, token)
        except NotFound:
            return None
        return device.device_id.hex()


def start_of(request: PageRequest) -> Key:
    """Where the page begins.

    Raises:
        BadRequest: the address was not ours.
    """
    start = request.asked("start")
    if not start:
        return FIRST
    person, _, device = start.partition(".")
    number = person_of_cio_id(person)
    try:
        key = bytes.fromhex(device)
    except ValueError:
        number, key = None, b""
    if number is None:
        raise BadRequest("start", "this page address is not valid")
    return Key(number, key)


def start(key: Key) -> str:
    """Where a page begins, in an address."""
    return f"{cio_id(PersonId(key.person_id))}.{key.device_id.hex()}"


def _device_id(request: PageRequest) -> DeviceId:
    """The key in the address.

    Raises:
        NotFound: it is none.
    """
    return device_key(request.segments["device"])


def device_key(text: str) -> DeviceId:
    """A key as it is written.

    Raises:
        NotFound: it is none.
    """
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 16:  # noqa: PLR2004 - a device's key
        raise NotFound("Device not found")
    return DeviceId(key)
