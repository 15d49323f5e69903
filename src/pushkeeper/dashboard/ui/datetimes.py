"""Moments as they are typed: in the zone of whoever types them, which a script tells beside them; without one in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core import times
from pushkeeper.core.broadcasts import schedule
from pushkeeper.core.broadcasts.schedule import BadSchedule
from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from datetime import datetime


def typed(text: str, zone: str, field: str) -> datetime:
    """The moment of a text, in UTC; one that names its own offset from UTC is of no zone.

    Raises:
        BadRequest: it is none, or there is no such zone.
    """
    if (local := times.local(text)) is None:
        found = times.from_iso(text)
    else:
        try:
            in_zone = schedule.zone_of(schedule.read_zone(zone or "UTC", field))
        except BadSchedule as error:
            raise BadRequest(field, error.message) from None
        found = times.bounded(schedule.first_moment(local, in_zone))
    if found is None:
        raise BadRequest(field, "expected a date and a time, such as 2026-11-26T14:00")
    return found
