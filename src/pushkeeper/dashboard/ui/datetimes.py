"""Date and time input, in the user's time zone (sent by a script), else in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core import times
from pushkeeper.core.broadcasts import schedule
from pushkeeper.core.broadcasts.schedule import BadSchedule
from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from datetime import datetime


def typed(text: str, zone: str, field: str) -> datetime:
    """Parse a date and time to UTC; one with its own offset ignores the zone.

    Raises:
        BadRequest: it is not a date and time, or the zone does not exist.
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
