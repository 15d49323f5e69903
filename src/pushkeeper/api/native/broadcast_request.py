"""The body of `POST /api/v1/broadcasts`, read into the request of the service."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.api.customerio.parse import MAX_EVENT_NAME_BYTES, known_token
from pushkeeper.api.customerio.segments import MAX_NAME_BYTES
from pushkeeper.api.customerio.triggers import MAX_DATA_BYTES, MAX_RECIPIENTS, recipients_of
from pushkeeper.core.broadcasts import schedule
from pushkeeper.core.broadcasts.schedule import BadSchedule, Schedule, Window
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.messages.personalize import WhenUndefined
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.services import validation
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.services.messages.content import native_content_of

if TYPE_CHECKING:
    from pushkeeper.core.model import Token

MAX_KEY_BYTES = 255
LEAST_PER_S, MAX_PER_S = 1 / 3_600, 1_000_000  # at less, no calendar holds the end of it
LEAST_LIFE_S, MOST_LIFE_S = 60, 28 * 86_400
MOST_AHEAD = timedelta(days=366)
_PEOPLE = ("ids", "emails", "per_user_data")
_WAYS = ("audience", *_PEOPLE, "devices")
_FIELDS = frozenset(
    {
        *_WAYS,
        *("name", "template", "content", "data", "event", "when_undefined", "schedule", "window", "throttle"),
        *("expires_after_s", "send_to_unsubscribed", "skip_without_permission", "one_per_phone", "dry_run"),
        *("ignore_missing", "idempotency_key", "start"),
    }
)


def request_of(body: dict[str, Any], key: str | None = None) -> tuple[BroadcastRequest, bool]:
    """Read a broadcast, and whether it is to be started at once; `key` is an idempotency key that came beside it.

    Raises:
        BadRequest, TooLarge: a field is missing, malformed or none of ours, or does not go with another.
    """
    if unknown := sorted(body.keys() - _FIELDS):
        raise BadRequest(unknown[0][:40], "there is no such field", "unknown_field")
    request = BroadcastRequest(
        name=validation.optional_text(body.get("name"), "name", max_bytes=MAX_NAME_BYTES) or "",
        template_id=validation.optional_whole(body.get("template"), "template", least=1, most=2**62),
        content=native_content_of(validation.optional_object(body.get("content"), "content"), "content."),
        data=_data(body),
        event=validation.optional_text(body.get("event"), "event", max_bytes=MAX_EVENT_NAME_BYTES) or None,
        when_undefined=_when_undefined(body),
        **_to_whom(body),
        schedule=_schedule(body),
        per_s=_per_s(body.get("throttle")),
        **_flags(body),
        once=_once(body, key),
    )
    return request, validation.optional_flag(body.get("start"), "start", default=False)


def change_of(body: dict[str, Any]) -> tuple[BroadcastRequest, bool, int | None]:
    """Read another version of a draft, whether to start it, and the version that it is to replace, if that is given.

    Raises:
        BadRequest, TooLarge: as of `request_of`.
    """
    request, start = request_of({name: value for name, value in body.items() if name != "version"})
    return request, start, version_of(body)


def version_of(body: dict[str, Any]) -> int | None:
    """The version of a broadcast that a request was made for; None: whichever it has.

    Raises:
        BadRequest: it is no whole number above 0.
    """
    return validation.optional_whole(body.get("version"), "version", least=1, most=2**31 - 1)


def _data(body: dict[str, Any]) -> dict[str, Any]:
    data = validation.optional_object(body.get("data"), "data")
    if len(msgspec.json.encode(data)) > MAX_DATA_BYTES:
        raise TooLarge("data", f"cannot be longer than {MAX_DATA_BYTES} bytes")
    return data


def _when_undefined(body: dict[str, Any]) -> WhenUndefined | None:
    given = body.get("when_undefined")
    return (
        None
        if given is None
        else WhenUndefined(validation.one_of(given, "when_undefined", tuple(WhenUndefined)))
    )


def _flags(body: dict[str, Any]) -> dict[str, Any]:
    names = ("skip_without_permission", "one_per_phone", "dry_run", "ignore_missing")
    to_all = body.get("send_to_unsubscribed")
    return {
        **{name: validation.optional_flag(body.get(name), name, default=False) for name in names},
        "send_to_unsubscribed": None
        if to_all is None
        else validation.optional_flag(to_all, "send_to_unsubscribed", default=False),
    }


def _to_whom(body: dict[str, Any]) -> dict[str, Any]:
    ways = [way for way in _WAYS if body.get(way) is not None]
    if len(ways) != 1:
        raise BadRequest("audience", f"exactly one of {', '.join(_WAYS)} says to whom it goes")
    [way] = ways
    if way == "audience":
        return _audience(validation.as_object(body["audience"], "audience"))
    if way in _PEOPLE:
        return {"recipients": recipients_of(body, way)}
    return {"devices": _devices(body["devices"])}


def _audience(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("id") is not None:
        number = validation.optional_whole(given["id"], "audience.id", least=1, most=2**62)
        if given.keys() - {"id"}:
            raise BadRequest("audience", "a saved one is said by its id alone")
        return {"audience": {"segment": {"id": number}}, "unit": Unit.DEVICE}
    if given.get("filter") is None or given.keys() - {"filter", "unit"}:
        raise BadRequest("audience.filter", "expected filter and maybe unit, or id")
    unit = validation.one_of(given.get("unit", Unit.DEVICE.value), "audience.unit", tuple(Unit))
    return {"audience": given["filter"], "unit": Unit(unit)}


def _devices(given: object) -> list[tuple[Token, str]]:
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_RECIPIENTS:
        raise BadRequest("devices", f"expected a list of 1 to {MAX_RECIPIENTS}", "wrong_type")
    return [(known_token(one, f"devices[{n}]"), f"devices[{n}]") for n, one in enumerate(given)]


def _schedule(body: dict[str, Any]) -> Schedule:
    given = validation.optional_object(body.get("schedule"), "schedule")
    if given.keys() - {"at", "local_time", "time_zone"}:
        raise BadRequest("schedule", "expected at, or local_time and maybe time_zone")
    if given.get("at") is not None and given.get("local_time") is not None:
        raise BadRequest("schedule.local_time", "goes not together with at", "conflicting_fields")
    life = validation.optional_whole(
        body.get("expires_after_s"), "expires_after_s", least=LEAST_LIFE_S, most=MOST_LIFE_S
    )
    try:
        local = given.get("local_time")
        zone = given.get("time_zone")
        return Schedule(
            at=_moment(given.get("at")),
            local_time=None
            if local is None
            else _soon(schedule.read_local_time(local, "schedule.local_time")),
            time_zone="UTC" if zone is None else schedule.read_zone(zone, "schedule.time_zone"),
            window=_window(body.get("window")),
            expires_after_s=life,
        )
    except BadSchedule as error:
        raise BadRequest(error.field, error.message) from None


def _moment(given: object) -> datetime | None:
    found = validation.optional_time(given, "schedule.at")
    if found is not None and found > datetime.now(found.tzinfo) + MOST_AHEAD:
        raise BadRequest("schedule.at", f"at most {MOST_AHEAD.days} days ahead", "out_of_range")
    return found


def _soon(local_time: datetime) -> datetime:
    if local_time > datetime.now() + MOST_AHEAD:  # noqa: DTZ005 - a day more or less is no matter here
        raise BadSchedule("schedule.local_time", f"at most {MOST_AHEAD.days} days ahead")
    return local_time


def _window(given: object) -> Window | None:
    if given is None:
        return None
    told = validation.as_object(given, "window")
    if told.keys() - {"opens", "closes", "time_zone"}:
        raise BadRequest("window", "expected opens, closes and maybe time_zone")
    opens = schedule.read_time(told.get("opens"), "window.opens")
    closes = schedule.read_time(told.get("closes"), "window.closes")
    if opens == closes:
        raise BadRequest("window.closes", "is the same as window.opens")
    zone = told.get("time_zone")
    return Window(
        opens=opens,
        closes=closes,
        time_zone=None if zone is None else schedule.read_zone(zone, "window.time_zone"),
    )


def _per_s(given: object) -> float | None:
    if given is None:
        return None
    told = validation.as_object(given, "throttle")
    if len(told) != 1 or told.keys() - {"per_second", "per_minute"}:
        raise BadRequest("throttle", "expected per_second or per_minute")
    [(name, value)] = told.items()
    in_s = 1 if name == "per_second" else 60
    most = MAX_PER_S * in_s
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise BadRequest(f"throttle.{name}", f"expected a number above 0, up to {most}")
    if value / in_s < LEAST_PER_S:
        raise BadRequest(f"throttle.{name}", "at least one push an hour")
    return value / in_s


def _once(body: dict[str, Any], beside: str | None) -> tuple[str, bytes] | None:
    key = validation.optional_text(
        body.get("idempotency_key") or beside or None, "idempotency_key", max_bytes=MAX_KEY_BYTES
    )
    if not key:
        return None
    asked = {name: value for name, value in body.items() if name != "idempotency_key"}
    return key, hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).digest()
