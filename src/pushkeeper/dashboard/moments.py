"""Moments as they are typed: in the zone of whoever types them, which a script tells beside them; without one in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from pushkeeper.core import schedule
from pushkeeper.core.schedule import BadSchedule
from pushkeeper.errors import BadRequest


def typed(text: str, zone: str, field: str) -> datetime:
    """The moment of a text, in UTC; one that names its own offset from UTC is of no zone.

    Raises:
        BadRequest: it is none, or there is no such zone.
    """
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
        return schedule.first_moment(found, schedule.zone_of(schedule.read_zone(zone or "UTC", field)))
    except BadSchedule as error:
        raise BadRequest(field, f"{field}: {error.message}") from None
    except (ValueError, OverflowError):
        raise BadRequest(field, f"{field}: expected a day and a time, as 2026-11-26T14:00") from None
