"""Broadcasts in requests and lists."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from pushkeeper.core.broadcasts import schedule
from pushkeeper.core.broadcasts.results import Rank
from pushkeeper.core.broadcasts.schedule import BadSchedule, Schedule, Window
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.messages.personalize import WhenUndefined
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.services import typed, validation
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.services.broadcasts.named import MAX_DATA_BYTES, MAX_RECIPIENTS, recipients_of
from pushkeeper.services.schemas.base import MAX_NAME_BYTES, Filter, Id, Request, Start, Time
from pushkeeper.services.schemas.templates import NewContent
from pushkeeper.services.validation import MAX_EVENT_NAME_BYTES, known_token

if TYPE_CHECKING:
    from pushkeeper.core.model import Content

MAX_KEY_BYTES = 255
LEAST_PER_S, MAX_PER_S = 1 / 3_600, 1_000_000  # at less, no calendar holds the end of it
LEAST_LIFE_S, MOST_LIFE_S = 60, 28 * 86_400
MOST_AHEAD = timedelta(days=366)
_LARGEST_PAGE = 100
_PEOPLE = ("ids", "emails", "per_user_data")
_WAYS = ("audience", *_PEOPLE, "devices")
_SEVERAL = Meta(min_length=1, max_length=MAX_RECIPIENTS)
Version: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class TargetAudience(Request, frozen=True, kw_only=True):
    """A filter and how it is evaluated, or the ID of a saved audience."""

    id: Id | None = None
    filter: Filter | None = None
    unit: Unit | None = None


class ScheduleRequest(Request, frozen=True, kw_only=True):
    """A time, or a local time in each device's time zone; `time_zone` is the fallback for devices without one."""

    at: Time | None = None
    local_time: str | None = None
    time_zone: str | None = None


class SendingWindow(Request, frozen=True, kw_only=True):
    """The delivery window, in a time zone or in each device's own."""

    opens: str
    closes: str
    time_zone: str | None = None


class Throttle(Request, frozen=True, kw_only=True):
    """The rate limit: exactly one of per_second and per_minute."""

    per_second: Annotated[float, Meta(gt=0, le=MAX_PER_S)] | None = None
    per_minute: Annotated[float, Meta(gt=0, le=60 * MAX_PER_S)] | None = None


class NamedPerson(Request, frozen=True, kw_only=True):
    """A person by exactly one of id, email, cio_id and internal (`cio_` and a cio_id), with individual data for Liquid."""

    id: str | int | float | None = None
    email: str | int | float | None = None
    cio_id: str | int | float | None = None
    internal: str | None = None
    data: dict[str, Any] | None = None


class NewBroadcast(Request, frozen=True, kw_only=True):
    """A broadcast. Provide exactly one of audience, ids, emails, per_user_data and devices."""

    name: str | None = None
    template: Id | None = None
    content: NewContent | None = None
    data: dict[str, Any] | None = None
    event: str | None = None
    when_undefined: WhenUndefined | None = None
    audience: TargetAudience | None = None
    ids: Annotated[list[str | int | float], _SEVERAL] | None = None
    emails: Annotated[list[str | int | float], _SEVERAL] | None = None
    per_user_data: Annotated[list[NamedPerson], _SEVERAL] | None = None
    devices: Annotated[list[str], _SEVERAL] | None = None
    ignore_missing: bool | None = False
    schedule: ScheduleRequest | None = None
    window: SendingWindow | None = None
    throttle: Throttle | None = None
    expires_after_s: Annotated[int, Meta(ge=LEAST_LIFE_S, le=MOST_LIFE_S)] | None = None
    send_to_unsubscribed: bool | None = None
    skip_without_permission: bool | None = False
    one_per_phone: bool | None = False
    dry_run: bool | None = False
    idempotency_key: str | None = None
    start: bool | None = False


class BroadcastChange(NewBroadcast, frozen=True, kw_only=True):
    """A new version of a draft; with `version`, it fails if the draft has a different version."""

    version: Version | None = None


class StartRequest(Request, frozen=True, kw_only=True):
    """The start of a draft; with `version`, it fails if the draft has a different version."""

    version: Version | None = None


class BroadcastsQuery(Request, frozen=True, kw_only=True):
    """A page of broadcasts."""

    start: Start | None = None
    limit: Annotated[int, Meta(ge=1, le=_LARGEST_PAGE, description="The most items of a page.")] = 20
    sort: Annotated[
        Rank,
        Meta(
            description="The order: `newest` first, `worst` (the largest share of bounced and failed pushes), the highest rate "
            "of `delivered`, `opened`, `clicked` or `converted`, or the most `devices`. Other orders than `newest` are of "
            "the newest thousand that began."
        ),
    ] = Rank.NEWEST
    reverse: Annotated[bool, Meta(description="Reverses the order.")] = False


def request_of(body: dict[str, Any], key: str | None = None) -> tuple[BroadcastRequest, bool]:
    """Read a broadcast, and whether to start it at once; `key` is the idempotency key of a header.

    Raises:
        BadRequest, TooLarge: a field is missing, malformed or unknown, or cannot be combined with another.
    """
    asked = typed.read(body, NewBroadcast)
    return _request(asked, body, key), bool(asked.start)


def change_of(body: dict[str, Any]) -> tuple[BroadcastRequest, bool, int | None]:
    """Read another version of a draft, whether to start it, and the version that it is to replace, if that is given.

    Raises:
        BadRequest, TooLarge: as of `request_of`.
    """
    asked = typed.read(body, BroadcastChange)
    return _request(asked, body, None), bool(asked.start), asked.version


def _request(asked: NewBroadcast, body: dict[str, Any], key: str | None) -> BroadcastRequest:
    return BroadcastRequest(
        name=validation.optional_text(asked.name, "name", max_bytes=MAX_NAME_BYTES) or "",
        template_id=asked.template,
        content=_content(asked.content or NewContent()),
        data=_data(asked.data or {}),
        event=validation.optional_text(asked.event, "event", max_bytes=MAX_EVENT_NAME_BYTES) or None,
        when_undefined=asked.when_undefined,
        **_recipients(asked, body),
        ignore_missing=bool(asked.ignore_missing),
        schedule=_schedule(asked),
        per_s=None if asked.throttle is None else _per_s(asked.throttle),
        send_to_unsubscribed=asked.send_to_unsubscribed,
        skip_without_permission=bool(asked.skip_without_permission),
        one_per_phone=bool(asked.one_per_phone),
        dry_run=bool(asked.dry_run),
        once=_once(asked.idempotency_key or key or None, body),
    )


def _content(given: NewContent) -> Content:
    try:
        return given.content()
    except BadRequest as error:
        raise error.under("content") from None


def _data(data: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(data)) > MAX_DATA_BYTES:
        raise TooLarge("data", f"cannot be longer than {MAX_DATA_BYTES} bytes")
    return data


def _recipients(asked: NewBroadcast, body: dict[str, Any]) -> dict[str, Any]:
    ways = [way for way in _WAYS if getattr(asked, way) is not None]
    if len(ways) != 1:
        problem = f"Provide exactly one of: {', '.join(_WAYS)}"
        raise BadRequest("audience", problem, "conflicting_fields" if ways else "missing")
    [way] = ways
    if asked.audience is not None:
        return _audience(asked.audience)
    if way in _PEOPLE:
        return {"recipients": recipients_of(body, way)}
    return {
        "devices": [
            (known_token(one, f"devices[{n}]"), f"devices[{n}]") for n, one in enumerate(asked.devices or ())
        ]
    }


def _audience(given: TargetAudience) -> dict[str, Any]:
    if given.id is not None:
        if given.filter is not None or given.unit is not None:
            raise BadRequest(
                "audience", "a saved audience is referenced by its ID alone", "conflicting_fields"
            )
        return {"audience": {"segment": {"id": given.id}}, "unit": Unit.DEVICE}
    if given.filter is None:
        raise BadRequest("audience.filter", "is required, or the ID of a saved audience", "missing")
    return {"audience": given.filter, "unit": given.unit or Unit.DEVICE}


def _schedule(asked: NewBroadcast) -> Schedule:
    given = asked.schedule or ScheduleRequest()
    if given.at is not None and given.local_time is not None:
        raise BadRequest("schedule.local_time", "cannot be combined with schedule.at", "conflicting_fields")
    try:
        return Schedule(
            at=_moment(given.at),
            local_time=None
            if given.local_time is None
            else _soon(schedule.read_local_time(given.local_time, "schedule.local_time")),
            time_zone="UTC"
            if given.time_zone is None
            else schedule.read_zone(given.time_zone, "schedule.time_zone"),
            window=None if asked.window is None else _window(asked.window),
            expires_after_s=asked.expires_after_s,
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


def _window(given: SendingWindow) -> Window:
    opens = schedule.read_time(given.opens, "window.opens")
    closes = schedule.read_time(given.closes, "window.closes")
    if opens == closes:
        raise BadRequest("window.closes", "is the same as window.opens", "conflicting_fields")
    zone = given.time_zone
    return Window(
        opens=opens,
        closes=closes,
        time_zone=None if zone is None else schedule.read_zone(zone, "window.time_zone"),
    )


def _per_s(given: Throttle) -> float:
    if (given.per_second is None) == (given.per_minute is None):
        raise BadRequest(
            "throttle", "expected exactly one of per_second and per_minute", "conflicting_fields"
        )
    per_s = given.per_second if given.per_second is not None else (given.per_minute or 0) / 60
    if per_s < LEAST_PER_S:
        name = "per_minute" if given.per_second is None else "per_second"
        raise BadRequest(("throttle", name), "at least one push an hour", "out_of_range")
    return per_s


def _once(key: str | None, body: dict[str, Any]) -> tuple[str, bytes] | None:
    key = validation.optional_text(key, "idempotency_key", max_bytes=MAX_KEY_BYTES)
    if not key:
        return None
    asked = {name: value for name, value in body.items() if name not in {"idempotency_key", "version"}}
    return key, hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).digest()
