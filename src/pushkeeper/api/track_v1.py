"""Customer.io's Track API, version 1: people and their devices."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pushkeeper.api import answer, fields
from pushkeeper.api.answer import Answer
from pushkeeper.api.surface import Surface
from pushkeeper.core import identity
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Environment, Platform, Token
from pushkeeper.errors import BadRequest, PushkeeperError, TooLarge, Unauthorized
from pushkeeper.store.devices import Registration
from pushkeeper.store.people import AttributeChange, Naming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.app import Rooms
    from pushkeeper.api.surface import Call

MAX_ID_BYTES = 150
MAX_TOKEN_BYTES = 4096
_PLATFORMS = tuple(Platform)
_ENVIRONMENTS = tuple(Environment)
_IDENTIFIERS = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.ANONYMOUS_ID)
_DOTTED_PREFERENCE = re.compile(r"cio_subscription_preferences\.[^.]+\..+", re.DOTALL)
_NOT_ATTRIBUTES = frozenset(
    {"id", "email", "cio_id", "anonymous_id", "cio_relationships", "_update", "_timestamp"}
)


def routes(rooms: Rooms) -> Sequence[Route]:
    """The routes of this API."""
    track = _Track(rooms)
    surface = Surface(authenticate=rooms.keys.track, render=render)
    person = "/api/v1/customers/{identifier}"
    return [
        surface.route(f"{person}/devices", PUT=track.register),
        surface.route(person, PUT=track.identify, DELETE=track.forget_person),
        surface.route("/api/v1/accounts/region", GET=track.region),
        surface.route(f"{person}/devices/{{device_id}}", DELETE=track.forget_device),
    ]


def render(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """`meta.errors` for what is wrong with a request, `meta.error` for the rest: what the clients parse."""
    del status
    if isinstance(error, BadRequest):
        return {"meta": {"errors": [error.message]}}
    message = "Unauthorized request" if isinstance(error, Unauthorized) else error.message
    return {"meta": {"error": message}}


# Every success is 200 and these three bytes, as recorded; the Go client takes anything else for an error.
DONE = Answer(b"{}\n")


class _Track:
    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def region(self, call: Call) -> Answer:
        return answer.of_json(
            {"url": self._rooms.url, "region": "us", "environment_id": call.workspace.workspace_id}
        )

    async def identify(self, call: Call) -> Answer:
        body = fields.as_object(fields.decode(call.raw_body), "body")
        naming = Naming(
            workspace_id=call.workspace.workspace_id,
            path=identifier(call),
            others=_others(body),
            create=not fields.optional_flag(body.get("_update"), "_update", default=False),
        )
        await self._rooms.registry.identify(naming, _change(body))
        return DONE

    async def forget_person(self, call: Call) -> Answer:
        await self._rooms.registry.forget_person(
            call.workspace.workspace_id, identifier(call), request_id=call.request_id
        )
        return DONE

    async def register(self, call: Call) -> Answer:
        body = fields.as_object(fields.decode(call.raw_body), "body")
        device = registration(
            fields.as_object(body.get("device"), "device"),
            "device",
            id_field="id",
            request_id=call.request_id,
        )
        naming = Naming(workspace_id=call.workspace.workspace_id, path=identifier(call))
        await self._rooms.registry.register(naming, device)
        return DONE

    async def forget_device(self, call: Call) -> Answer:
        await self._rooms.registry.forget_device(
            call.workspace.workspace_id,
            identifier(call),
            _token(call.segment("device_id"), "device_id"),
            request_id=call.request_id,
        )
        return DONE


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
    token = _token(device.get(id_field), f"{field}.{id_field}")
    platform = fields.one_of(device.get("platform"), f"{field}.platform", _PLATFORMS)
    given = dict(fields.optional_object(device.get("attributes"), f"{field}.attributes"))
    given.pop("_last_status", None)
    kept, removed = fields.attributes(given, f"{field}.attributes")
    environment = fields.optional_text(kept.get("apns_environment"), f"{field}.attributes.apns_environment")
    if environment is not None:
        fields.one_of(environment, f"{field}.attributes.apns_environment", _ENVIRONMENTS)
    return Registration(
        token=token,
        platform=Platform(platform),
        last_used=fields.optional_unix_time(device.get("last_used"), f"{field}.last_used")
        or datetime.now(UTC),
        app=fields.optional_text(kept.get("app_id"), f"{field}.attributes.app_id"),
        environment=Environment(environment.lower()) if environment else None,
        attributes={**kept, **dict.fromkeys(removed)},
        request_id=request_id,
    )


def _token(value: object, field: str) -> Token:
    found = fields.text(value, field, max_bytes=MAX_TOKEN_BYTES)
    if "\0" in found:
        raise BadRequest(field, f"{field}: NUL characters cannot be kept")
    return Token(found)


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
    dotted = [name for name in given if _DOTTED_PREFERENCE.fullmatch(name)]
    return AttributeChange(
        attributes={name: value for name, value in kept.items() if name not in dotted},
        preferences=_preferences(dotted, kept),
        removed=tuple(name for name in removed if name not in dotted),
        unsubscribed=_is_true(body["unsubscribed"]) if "unsubscribed" in body else None,
        changed_at=int(changed_at.timestamp() if changed_at else time.time()),
    )


def _preferences(dotted: Sequence[str], kept: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Entries of the subscription preferences by group; one that is not kept is to be removed."""
    found: dict[str, dict[str, Any]] = {}
    for name in dotted:
        _, group, entry = name.split(".", 2)
        found.setdefault(group, {})[entry] = kept.get(name)
    return found


def _is_true(value: object) -> bool:
    """Any casing of "true", 1 and "1" unsubscribe; anything else does not."""
    return value is True or value == 1 or (isinstance(value, str) and value.lower() in {"true", "1"})
