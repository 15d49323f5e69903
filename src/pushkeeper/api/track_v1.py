"""Customer.io's Track API, version 1: people and their devices."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from pushkeeper.api import fields
from pushkeeper.api.surface import Surface, json_response
from pushkeeper.core import identity
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Environment, Platform, Token
from pushkeeper.errors import BadRequest, PushkeeperError, TooLarge, Unauthorized
from pushkeeper.store.devices import Registration
from pushkeeper.store.people import AttributeChange, Naming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.api.app import Rooms
    from pushkeeper.api.surface import Call

MAX_ID_BYTES = 150
MAX_TOKEN_BYTES = 4096
_IDENTIFIERS = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.ANONYMOUS_ID)
_NOT_ATTRIBUTES = frozenset(
    {"id", "email", "cio_id", "anonymous_id", "cio_relationships", "_update", "_timestamp"}
)


def routes(rooms: Rooms) -> Sequence[Route]:
    """The routes of this API."""
    track = _Track(rooms)
    surface = Surface(authenticate=rooms.keys.track, render=render)
    person, devices = "/api/v1/customers/{identifier}", "/api/v1/customers/{identifier}/devices"
    return [
        Route(path, surface.endpoint(path, handler), methods=[method])
        for method, path, handler in (
            ("GET", "/api/v1/accounts/region", track.region),
            ("PUT", person, track.identify),
            ("DELETE", person, track.forget_person),
            ("PUT", devices, track.register),
            ("DELETE", devices + "/{token}", track.forget_device),
        )
    ]


def render(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """`meta.errors` for what is wrong with a request, `meta.error` for the rest: what the clients parse."""
    del status
    if isinstance(error, BadRequest):
        return {"meta": {"errors": [error.message]}}
    message = "Unauthorized request" if isinstance(error, Unauthorized) else error.message
    return {"meta": {"error": message}}


def done() -> Response:
    """Every success is 200 and this body, as recorded; the Go client takes anything else for an error."""
    return Response(b"{}\n", media_type="application/json; charset=utf-8")


class _Track:
    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def region(self, call: Call) -> Response:
        return json_response(
            {"url": self._rooms.url, "region": "us", "environment_id": call.workspace.workspace_id}
        )

    async def identify(self, call: Call) -> Response:
        body = fields.as_object(fields.decode(call.raw_body), "body")
        naming = Naming(
            workspace_id=call.workspace.workspace_id,
            path=identifier(call),
            others=_others(body),
            create=not fields.optional_flag(body.get("_update"), "_update", default=False),
        )
        await self._rooms.registry.identify(naming, _change(body))
        return done()

    async def forget_person(self, call: Call) -> Response:
        await self._rooms.registry.forget_person(
            call.workspace.workspace_id, identifier(call), request_id=call.request_id
        )
        return done()

    async def register(self, call: Call) -> Response:
        body = fields.as_object(fields.decode(call.raw_body), "body")
        device = registration(
            fields.as_object(body.get("device"), "device"),
            "device",
            id_field="id",
            request_id=call.request_id,
        )
        naming = Naming(workspace_id=call.workspace.workspace_id, path=identifier(call))
        await self._rooms.registry.register(naming, device)
        return done()

    async def forget_device(self, call: Call) -> Response:
        token = Token(fields.text(call.segment("token"), "device_id", max_bytes=MAX_TOKEN_BYTES))
        await self._rooms.registry.forget_device(
            call.workspace.workspace_id, identifier(call), _storable(token), request_id=call.request_id
        )
        return done()


def identifier(call: Call) -> Identifier:
    """Whom the path names."""
    segment = fields.text(call.segment("identifier"), "identifier", max_bytes=MAX_ID_BYTES + len("cio_"))
    return checked(identity.of_path(segment), "identifier")


def checked(found: Identifier, field: str) -> Identifier:
    """An identifier that can be kept.

    Raises:
        BadRequest, TooLarge: it is over 150 bytes, or has a NUL character.
    """
    if "\0" in found.value:
        raise BadRequest(field, f"{field}: NUL characters cannot be kept")
    if not found.value.strip():
        raise BadRequest(field, f"{field}: is needed, and cannot be empty")
    if len(found.value.encode()) > MAX_ID_BYTES:
        raise TooLarge(field, f"{field}: cannot be longer than {MAX_ID_BYTES} bytes")
    return found


def registration(device: dict[str, Any], field: str, *, id_field: str, request_id: str) -> Registration:
    """A device as Customer.io's clients tell of it.

    Two attributes are ours: `app_id` (the bundle id or FCM project that it belongs to) and `apns_environment`
    (production or sandbox). Unknown keys beside `attributes` are ignored, as is `_last_status`.

    Raises:
        BadRequest, TooLarge: a field is missing, malformed or too long.
    """
    token = Token(fields.text(device.get(id_field), f"{field}.{id_field}", max_bytes=MAX_TOKEN_BYTES))
    platform = fields.one_of(device.get("platform"), f"{field}.platform", tuple(Platform))
    given = dict(fields.optional_object(device.get("attributes"), f"{field}.attributes"))
    given.pop("_last_status", None)
    kept, removed = fields.attributes(given, f"{field}.attributes")
    environment = fields.optional_text(kept.get("apns_environment"), f"{field}.attributes.apns_environment")
    if environment is not None:
        fields.one_of(environment, f"{field}.attributes.apns_environment", tuple(Environment))
    return Registration(
        token=_storable(token),
        platform=Platform(platform),
        last_used=fields.optional_unix_time(device.get("last_used"), f"{field}.last_used")
        or datetime.now(UTC),
        app=fields.optional_text(kept.get("app_id"), f"{field}.attributes.app_id"),
        environment=Environment(environment.lower()) if environment else None,
        attributes={**kept, **dict.fromkeys(removed)},
        request_id=request_id,
    )


def _storable(token: Token) -> Token:
    if "\0" in token.value:
        raise BadRequest("device.id", "device.id: NUL characters cannot be kept")
    return token


def _others(body: dict[str, Any]) -> tuple[Identifier, ...]:
    found = []
    for kind in _IDENTIFIERS:
        value = body.get(kind.value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # callers with numeric ids
        value = fields.optional_text(value, kind.value, max_bytes=MAX_ID_BYTES)
        if value is not None and value.strip():
            found.append(checked(Identifier(kind, value), kind.value))
    return tuple(found)


def _change(body: dict[str, Any]) -> AttributeChange:
    given = {name: value for name, value in body.items() if name not in _NOT_ATTRIBUTES}
    kept, removed = fields.attributes(given, "attributes")
    changed_at = fields.optional_unix_time(body.get("_timestamp"), "_timestamp")
    return AttributeChange(
        attributes=kept,
        removed=removed,
        unsubscribed=_is_true(body["unsubscribed"]) if "unsubscribed" in body else None,
        changed_at=int(changed_at.timestamp() if changed_at else time.time()),
    )


def _is_true(value: object) -> bool:
    """Any casing of "true", 1 and "1" unsubscribe; anything else does not."""
    return value is True or value == 1 or (isinstance(value, str) and value.lower() in {"true", "1"})
