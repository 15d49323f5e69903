"""Customer.io's App API: read people and messages, send transactional pushes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.api.customerio.parse import id_type
from pushkeeper.api.customerio.push_request import transactional_push
from pushkeeper.api.style import ApiStyle
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.errors import BadRequest, NotFound, PushkeeperError, Unauthorized
from pushkeeper.services import validation
from pushkeeper.services.validation import checked_identifier, one_identifier
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call, Handler
    from pushkeeper.services.people import Device, Member, Person
    from pushkeeper.web.response import Response

_MOST_AT_ONCE = 100
_LAST_ID = (1 << 128) - 1
_PREFERENCES = "cio_subscription_preferences"
_OTHER_CHANNELS = {
    "email": "Emails",
    "sms": "SMS",
    "whatsapp": "WhatsApp messages",
    "in_app": "In-app messages",
    "inbox_message": "Inbox messages",
}
# What Customer.io's schema types as other than strings; all else is read back as text.
_TYPED_DEVICE_ATTRIBUTES = frozenset(
    {"network_bluetooth", "network_cellular", "network_wifi", "screen_width", "screen_height", "last_used"}
)


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    app = _App(context)
    reads = ApiStyle(name="app_api", authenticate=context.keys.app, render=render)
    sends = ApiStyle(name="app_api", authenticate=context.keys.app, render=render_send)
    return [
        reads.route("/v1/customers", GET=app.people_by_email, POST=app.search),
        reads.route("/v1/customers/attributes", POST=app.people),
        reads.route("/v1/customers/{id}/attributes", GET=app.person),
        sends.route("/v1/send/push", POST=app.send_push),
        *(sends.route(f"/v1/send/{path}", POST=_no_channel(name)) for path, name in _OTHER_CHANNELS.items()),
    ]


def render(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """`errors` with detail and status, as most of this API answers."""
    detail = "not found" if isinstance(error, NotFound) else error.message
    return {"errors": [{"detail": detail, "status": str(status)}]}


def render_send(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """`meta.error`, as the send calls respond; a wrong key gets this API's other error format, as on every call."""
    return render(error, status) if isinstance(error, Unauthorized) else {"meta": {"error": error.message}}


def _no_channel(name: str) -> Handler:
    """Refuse a message of an unsupported channel, with an error that Customer.io's clients show."""

    async def refuse(call: Call) -> Response:
        del call
        raise BadRequest("channel", f"{name} cannot be sent: Pushkeeper sends push notifications only")

    return refuse


class _App:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def person(self, call: Call) -> Response:
        workspace = call.workspace_id
        person = await person_of(self._context, call)
        devices = await self._context.services.people.devices_of(person, workspace)
        return response.of_json({"customer": person_json(person, devices)})

    async def people_by_email(self, call: Call) -> Response:
        email = validation.text(call.query("email"), "email", max_bytes=150)
        try:
            found = [
                await self._context.services.people.person(
                    call.workspace_id, checked_identifier(Identifier(IdentifierKind.EMAIL, email), "email")
                )
            ]
        except NotFound:
            found = []
        return response.of_json(
            {"results": [{"email": p.email, "id": p.id, "cio_id": p.cio_id} for p in found]}
        )

    async def search(self, call: Call) -> Response:
        body = await call.json()
        limit, after = validation.page(call.query("limit"), call.query("start"), usual=50, most=1000)
        found = await self._context.services.audiences.search(
            call.workspace_id, body.get("filter"), after=after, limit=limit + 1
        )
        return response.of_json(members_json(found, limit))

    async def people(self, call: Call) -> Response:
        """A hundred people at once; unknown people are missing from the response."""
        body = await call.json()
        kind = id_type(call.query("id_type"))
        ids = body.get("ids")
        if not isinstance(ids, list) or not 1 <= len(ids) <= _MOST_AT_ONCE:
            raise BadRequest("ids", f"expected a list of 1 to {_MOST_AT_ONCE}", "wrong_type")
        who = [one_identifier({kind.value: one}, f"ids[{n}]", (kind,)) for n, one in enumerate(ids)]
        workspace = call.workspace_id
        found = await self._context.services.people.people(workspace, who)
        devices = await self._context.services.people.devices_by_person(workspace, found)
        shown = [{"customer": person_json(person, devices.get(person.person_id, []))} for person in found]
        return response.of_json({"customers": shown})

    async def send_push(self, call: Call) -> Response:
        body = await call.json()
        queued = await self._context.services.transactional.accept(
            transactional_push(body, call.workspace_id, request_id=call.request_id)
        )
        said = {"delivery_id": str(queued.delivery_id), "queued_at": int(queued.queued_at.timestamp())}
        if queued.send_at is not None:
            said["send_at"] = int(queued.send_at.timestamp())
        return response.about(queued.delivery_id, said)


async def person_of(context: Context, call: Call) -> Person:
    """The person in the path, by the kind of identifier in the query.

    Raises:
        BadRequest: there is no such kind.
        NotFound: nobody has it.
    """
    return await person_named(context, call, call.segment("id"))


async def person_named(context: Context, call: Call, text: str) -> Person:
    """The person that a text identifies, by the kind of identifier in the query.

    Raises:
        BadRequest: there is no such kind.
        NotFound: nobody has it.
    """
    workspace = call.workspace_id
    kind = id_type(call.query("id_type"))
    try:
        return await context.services.people.person(
            workspace, checked_identifier(Identifier(kind, text), "id")
        )
    except NotFound:
        if kind is not IdentifierKind.ID:
            raise
        return await context.services.people.person(workspace, Identifier(IdentifierKind.CIO_ID, text))


def members_json(found: Sequence[Member], limit: int) -> dict[str, Any]:
    """A page of people with their identifiers; the query fetched one more than the page shows."""
    page = found[:limit]
    return {
        "identifiers": [{"email": m.email, "id": m.id, "cio_id": m.cio_id} for m in page],
        "ids": [m.id or "" for m in page],
        "next": validation.next_page(page[-1].person_id) if len(found) > limit else "",
    }


def person_json(person: Person, devices: Sequence[Device]) -> dict[str, Any]:
    """A person as `GET /v1/customers/{id}/attributes` shows them: every attribute a string, objects as JSON in one."""
    identifiers = {"id": person.id, "email": person.email, "cio_id": person.cio_id}
    known = {name: value for name, value in identifiers.items() if value is not None}
    return {
        "id": person.id or "",
        "identifiers": identifiers,
        "attributes": {**known, **{name: as_text(value) for name, value in person.attributes.items()}},
        "timestamps": {**dict.fromkeys(known, int(person.created_at.timestamp())), **_timestamps(person)},
        "unsubscribed": person.unsubscribed,
        "devices": [device_json(device) for device in devices],
    }


def _timestamps(person: Person) -> dict[str, int]:
    """When each existing attribute was last set; for preferences, when the latest of their entries was."""
    times = {name: int(at) for name, at in person.changed_at.items() if name in person.attributes}
    if _PREFERENCES in person.attributes:
        of_entries = (at for name, at in person.changed_at.items() if name.startswith(f"{_PREFERENCES}."))
        times[_PREFERENCES] = max(times.get(_PREFERENCES, 0), *map(int, of_entries), 0)
    return times


def device_json(device: Device) -> dict[str, Any]:
    """A device as Customer.io shows it, its last status among its attributes."""
    shown = {
        name: value if name in _TYPED_DEVICE_ATTRIBUTES else as_text(value)
        for name, value in device.attributes.items()
    }
    return {
        "id": device.token.value,
        "platform": device.platform,
        "last_used": int(device.last_used.timestamp()),
        "attributes": {**shown, "_last_status": device.status},
    }


def as_text(value: object) -> str:
    """A string unchanged, anything else as its JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
