"""When a message is due: at a moment, at a local time in each device's time zone, and within the hours that are allowed.

Time zones are those of the IANA database, by its names, whatever their case and the blanks around them. A local time
that is skipped in spring is the moment of the change; one that comes twice in autumn is the first of both.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from pushkeeper.core import times

# What a machine without a configured time zone reports, and names that any machine may report.
NO_ZONES = frozenset({"Factory", "localtime"})
ZONE_BLANKS = " \t\r\n"
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


class BadSchedule(Exception):
    """What is wrong with a schedule, and in which field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The hours of a day in which pushes may leave; past midnight where it closes before it opens.

    Attributes:
        opens, closes: local times; when it closes, it is closed.
        time_zone: whose hours they are; None: each device's own.
    """

    opens: time
    closes: time
    time_zone: str | None = None

    def is_open(self, moment: datetime, device_zone: str) -> bool:
        """Whether pushes may leave to a device of this zone at this moment."""
        local = moment.astimezone(zone_of(self.time_zone or device_zone)).time()
        if self.opens < self.closes:
            return self.opens <= local < self.closes
        return local >= self.opens or local < self.closes

    def opening(self, moment: datetime, device_zone: str) -> datetime:
        """This moment where it is open, else when it opens next."""
        if self.is_open(moment, device_zone):
            return moment
        zone = zone_of(self.time_zone or device_zone)
        day = moment.astimezone(zone).date()
        return next(
            opens
            for n in range(3)
            if (opens := first_moment(datetime.combine(day + n * _DAY, self.opens), zone)) > moment
        )


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a broadcast goes out; nothing said is at once.

    Attributes:
        at: the moment.
        local_time: a local time, instead; in each device's own zone.
        time_zone: of devices of which none is known.
        window: the hours in which it may leave.
        expires_after_s: how long after its beginning it is still worth sending.
    """

    at: datetime | None = None
    local_time: datetime | None = None
    time_zone: str = "UTC"
    window: Window | None = None
    expires_after_s: int | None = None

    @property
    def by_zone(self) -> bool:
        """Whether it depends on the device's zone when a push is due."""
        return self.local_time is not None or (self.window is not None and self.window.time_zone is None)

    def due(self, device_zone: str, now: datetime) -> datetime:
        """When it is due in a zone; what is past is due now."""
        if self.local_time is not None:
            moment = max(first_moment(self.local_time, zone_of(device_zone)), now)
        else:
            moment = max(self.at or now, now)
        return moment if self.window is None else self.window.opening(moment, device_zone)


AT_ONCE = Schedule()


class Pass(msgspec.Struct, frozen=True):
    """Devices that are due at the same moment: those of some time zones, or all that remain (None)."""

    at: datetime
    zones: tuple[str, ...] | None = None


def passes(schedule: Schedule, now: datetime) -> tuple[Pass, ...]:
    """The passes of a schedule, in their order: when each is due and for which zones.

    The last pass takes the devices that remain: those of unknown zones use the schedule's zone, but a device that
    changes its zone meanwhile may have missed its own pass.
    """
    if not schedule.by_zone:
        return (Pass(schedule.due(schedule.time_zone, now)),)
    due: dict[datetime, list[str]] = {}
    for zone in sorted(zones()):
        due.setdefault(schedule.due(zone, now), []).append(zone)
    parts = [Pass(at, tuple(due[at])) for at in sorted(due)]
    return (*parts, Pass(parts[-1].at))


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """The names of all time zones."""
    return frozenset(available_timezones()) - NO_ZONES


@lru_cache(maxsize=1)
def _by_key() -> dict[str, str]:
    return {zone_key(name): name for name in zones()}


def zone_key(name: str) -> str:
    """The key that all spellings of a zone's name share."""
    return name.strip(ZONE_BLANKS).replace(" ", "_").lower()


def canonical_zone(name: object) -> str | None:
    """The zone of this name, as the database spells it; None if it does not exist, such as an offset (`GMT+0530`)."""
    return _by_key().get(zone_key(name)) if isinstance(name, str) and name.isascii() else None


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The zone of a name that is one of `zones`."""
    return ZoneInfo(name)


def known_zone(name: object, default: str) -> str:
    """A device's zone, or the default where it has none that is known."""
    return canonical_zone(name) or default


def first_moment(local: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of that day at which clocks show this local time, or a later one where it is skipped."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    # Clocks go forward over it: the moment of that is between how both sides of the change would have it.
    before, after = local.replace(tzinfo=zone, fold=1).astimezone(UTC), moment
    while after - before > _SECOND:
        middle = before + (after - before) / 2
        if middle.astimezone(zone).replace(tzinfo=None) >= local:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


def read_time(text: object, field: str) -> time:
    """A time of day, as `09:30`; BadSchedule of what is none."""
    try:
        found = time.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        raise BadSchedule(field, "expected a time of day, such as 09:30") from None
    if found.tzinfo is not None:
        raise BadSchedule(field, "expected a time of day without a zone, such as 09:30")
    return found


def read_local_time(text: object, field: str) -> datetime:
    """A day and a time of day without a zone, as `2026-12-24T18:00`; BadSchedule of what is none."""
    if (found := times.local(text)) is None:
        raise BadSchedule(field, "expected a local time without a zone, such as 2026-12-24T18:00")
    return found


def read_zone(name: object, field: str) -> str:
    """The name of a time zone, as the database spells it; BadSchedule if it does not exist."""
    found = canonical_zone(name)
    if found is None:
        raise BadSchedule(field, "expected the name of a time zone, such as Europe/Berlin")
    return found
