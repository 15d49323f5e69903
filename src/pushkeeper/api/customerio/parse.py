"""Parse people, devices and events in Customer.io's formats into what the services take, validating every field."""

from __future__ import annotations

import hashlib
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec

from pushkeeper.api.customerio import subscriptions
from pushkeeper.core import times
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Browser, Environment, Platform, id_kind_of
from pushkeeper.core.placeholders import placeholder
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.services import validation
from pushkeeper.services.people import AttributeChange, NewEvent, Registration
from pushkeeper.services.validation import (
    MAX_EVENT_NAME_BYTES,
    MAX_ID_BYTES,
    NO_PHONE_NUMBERS,
    checked_identifier,
    number_as_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import Token
    from pushkeeper.services.people import EventKind
    from pushkeeper.services.validation import OnBad

MAX_EVENT_DATA_BYTES = 100_000
_MOST_DROPPED_SHOWN = 20
_ENVIRONMENTS = tuple(Environment)
_EVENT_KINDS = ("event", "page", "screen")
_IDENTIFIERS = (IdentifierKind.ID, IdentifierKind.EMAIL)
_ID_TYPES = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.CIO_ID)
_DOTTED_PREFERENCE = re.compile(r"cio_subscription_preferences\.[^.]+\..+", re.DOTALL)
_NOT_OF_DEVICES = subscriptions.NAMES | {"_last_status"}
_NOT_ATTRIBUTES = frozenset(
    {"id", "email", "cio_id", "anonymous_id", "cio_relationships", "_update", "_timestamp"}
)


# People.


def id_type(asked: str | None) -> IdentifierKind:
    """The kind of identifier that a query names, `id` where it names none.

    Raises:
        BadRequest: it is not a kind of identifier that is supported.
    """
    asked = (asked or "id").lower()
    if asked == "phone":
        raise BadRequest("id_type", NO_PHONE_NUMBERS)
    return IdentifierKind(validation.one_of(asked, "id_type", _ID_TYPES))


def other_identifiers(body: dict[str, Any]) -> tuple[Identifier, ...]:
    """The identifiers among a person's attributes, which they are to get."""
    found = []
    for kind in _IDENTIFIERS:
        value = validation.optional_text(
            number_as_text(body.get(kind.value)), kind.value, max_bytes=MAX_ID_BYTES
        )
        if value is not None and value.strip():
            found.append(checked_identifier(Identifier(kind, value), kind.value))
    return tuple(found)


def anonymous_id(value: object, field: str = "anonymous_id") -> str | None:
    """An anonymous id; None for an absent or empty one, and for a placeholder, which everybody would share.

    Raises:
        BadRequest, TooLarge: it is not text, is over 150 bytes, or contains a NUL character.
    """
    found = validation.optional_text(number_as_text(value), field, max_bytes=MAX_ID_BYTES)
    if found is None or not found.strip() or placeholder(found):
        return None
    validation.require_identifier(found, field)
    return found


def change(
    body: dict[str, Any],
    *,
    at: datetime | None = None,
    field: str = "attributes",
    on_bad: OnBad = validation.refuse,
) -> AttributeChange:
    """The change of a person's attributes; identifiers among them are handled by `other_identifiers`.

    It is dated by its `_timestamp`, else by `at`, else now; a time in the future becomes now.
    """
    given = {name: value for name, value in body.items() if name not in _NOT_ATTRIBUTES}
    kept, removed = validation.attributes(given, field, on_bad)
    changed_at = times.from_seconds(body.get("_timestamp")) or at
    now = time.time()
    dotted = dict.fromkeys(name for name in (*kept, *removed) if _DOTTED_PREFERENCE.fullmatch(name))
    return AttributeChange(
        attributes={name: value for name, value in kept.items() if name not in dotted},
        preferences={name: kept.get(name) for name in dotted},
        removed=tuple(name for name in removed if name not in dotted),
        unsubscribed=is_true(body["unsubscribed"]) if "unsubscribed" in body else None,
        changed_at=changed_at.timestamp() if changed_at and changed_at.timestamp() <= now else int(now),
    )


def is_true(value: object) -> bool:
    """Any casing of "true", 1 and "1" unsubscribe; anything else does not."""
    return value is True or value == 1 or (isinstance(value, str) and value.lower() in {"true", "1"})


def is_false(value: object) -> bool:
    """The counterparts of what `is_true` takes."""
    return value is False or value == 0 or (isinstance(value, str) and value.lower() in {"false", "0"})


# Devices.


def registration(given: object, field: str, *, id_field: str, request_id: str) -> Registration:
    """A device in the format of Customer.io's clients.

    Two attributes are ours: `app_id` (the bundle id or FCM project that it belongs to) and `apns_environment`
    (production or sandbox). The keys of a browser's subscription are no attributes. Unknown keys beside `attributes` are ignored, as is `_last_status`.

    Raises:
        BadRequest, TooLarge: a field is missing, malformed or too long.
    """
    device = validation.as_object(given, field)
    token = validation.new_token(device.get(id_field), f"{field}.{id_field}")
    platform = validation.platform(device.get("platform"), f"{field}.platform")
    attributes = validation.optional_object(device.get("attributes"), f"{field}.attributes")
    found = registered(
        token,
        platform=platform,
        last_used=times.from_seconds(device.get("last_used")),
        attributes=device_attributes(attributes, f"{field}.attributes"),
        request_id=request_id,
    )
    subscriptions.require_for(found, token_field=f"{field}.{id_field}", field=f"{field}.attributes")
    return found


def registered(
    found: Token,
    *,
    platform: Platform,
    last_used: datetime | None,
    attributes: DeviceAttributes,
    request_id: str,
    must_register: bool = False,
) -> Registration:
    """A device with these parts, last used no later than now."""
    now = datetime.now(UTC)
    return Registration(
        token=found,
        id_kind=id_kind_of(found),
        platform=platform,
        last_used=min(last_used or now, now),
        app=attributes.app,
        environment=attributes.environment,
        attributes=attributes.kept,
        dropped_attributes=attributes.dropped,
        browser=attributes.browser,
        must_register=must_register,
        request_id=request_id,
    )


class DeviceAttributes(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes of a device (None removes one), the values of two of our own, why others are dropped, by name, and its keys."""

    kept: dict[str, Any]
    app: str | None
    environment: Environment | None
    dropped: dict[str, str]
    browser: Browser | None = None


def device_attributes(
    given: dict[str, Any], field: str, on_bad: OnBad = validation.refuse, spoiled: Sequence[BadRequest] = ()
) -> DeviceAttributes:
    """Read the attributes of a device from the field of this name; invalid ones are passed to `on_bad` and dropped.

    `spoiled` has the errors of those that were already removed.

    Raises:
        BadRequest, TooLarge: one can't be stored, and `on_bad` raises.
    """
    dropped: dict[str, str] = {}

    def drop(error: BadRequest) -> None:
        on_bad(error)
        if len(dropped) < _MOST_DROPPED_SHOWN:
            dropped[error.field.removeprefix(f"{field}.")] = error.message

    for error in spoiled:
        drop(error)
    try:
        browser = subscriptions.read(given, field)
    except BadRequest as error:
        drop(error)
        browser = None
    wanted = {name: value for name, value in given.items() if name not in _NOT_OF_DEVICES}
    kept, removed = validation.attributes(wanted, field, drop)
    for name, check in _OUR_ATTRIBUTES:
        if name not in kept:
            continue
        try:
            check(kept[name], f"{field}.{name}")
        except BadRequest as error:
            drop(error)
            del kept[name]
    environment = kept.get("apns_environment")
    return DeviceAttributes(
        kept={**kept, **dict.fromkeys(removed)},
        app=kept.get("app_id"),
        environment=None if environment is None else Environment(environment.lower()),
        dropped=dropped,
        browser=browser,
    )


def _environment(value: object, field: str) -> str:
    return validation.one_of(value, field, _ENVIRONMENTS)


_OUR_ATTRIBUTES = (("app_id", validation.optional_text), ("apns_environment", _environment))


# Events.


def event(body: dict[str, Any], *, data_field: str = "data", kind: EventKind | None = None) -> NewEvent:
    """Something that somebody did: `name`, `timestamp`, and its data.

    Raises:
        BadRequest, TooLarge: a field is missing, malformed or too long.
    """
    if kind is None:
        said = body.get("type") or "event"
        kind = cast("EventKind", validation.one_of(said, "type", _EVENT_KINDS))
    at = times.from_seconds(body.get("timestamp"))
    return happened(body.get("name"), "name", body.get(data_field), data_field, kind=kind, at=at)


def happened(
    name: object, name_field: str, data: object, data_field: str, *, kind: EventKind, at: datetime | None
) -> NewEvent:
    """An event with these parts; its name is trimmed.

    Raises:
        BadRequest, TooLarge: one is missing, malformed or too long.
    """
    trimmed = name.strip() if isinstance(name, str) else name
    said = validation.text(trimmed, name_field, max_bytes=MAX_EVENT_NAME_BYTES)
    given = validation.optional_object(data, data_field)
    if len(msgspec.json.encode(given)) > MAX_EVENT_DATA_BYTES:
        raise TooLarge(data_field, f"cannot be longer than {MAX_EVENT_DATA_BYTES} bytes")
    return NewEvent(kind=kind, name=said, data=given, happened_at=at or datetime.now(UTC))


def once(source: str, said: object) -> bytes | None:
    """What a call's own id is remembered by: 16 bytes of a hash; None when it has none."""
    if not isinstance(said, str) or not said:
        return None
    return hashlib.sha256(f"{source}:{said}".encode("utf-8", "replace")).digest()[:16]
