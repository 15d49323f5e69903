"""Times as people write and read them: `2h` ago, `yesterday`, in your time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_RELATIVE = re.compile(r"(?:in )?\+?(?P<count>[0-9]{1,6}) ?(?P<unit>[smhdw])(?P<ago> ago)?", re.IGNORECASE)
_UNIX_SECONDS = re.compile(r"[0-9]{9,11}")  # 20261224 is a day
_DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"))
_DAY_S = 86_400
_ABSOLUTE_AFTER_DAYS = 60


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic to type checkers alone
    """A time: relative (`2h`, `3 d ago`, `in 2h`), a day, or ISO 8601; without a zone it is of this machine's."""

    name = "time"

    def __init__(self, *, future: bool = False) -> None:
        """With `future`, `2h` is in two hours; else it was two hours ago."""
        self._future = future

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The time as the API takes it, with its zone."""
        found = moment(str(value), datetime.now(UTC), future=self._future)
        if found is None:
            self.fail(
                f"{value!r} is not a time. Use one such as 2h, yesterday, 2026-12-24 or 2026-12-24T18:00:00+01:00.",
                param,
                ctx,
            )
        return found.isoformat()


def moment(text: str, now: datetime, *, future: bool = False) -> datetime | None:
    """The time that a text means; None where it means none."""
    text = text.strip()
    if text.lower() == "now":
        return now
    if (days := _DAYS.get(text.lower())) is not None:
        start = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return (start + timedelta(days=days)).astimezone()
    if (found := _RELATIVE.fullmatch(text)) is not None:
        by = timedelta(**{_UNITS[found["unit"].lower()]: int(found["count"])})
        forward = text.lower().startswith(("in ", "+")) or (future and not found["ago"])
        try:
            return now + by if forward else now - by
        except OverflowError:
            return None
    try:
        read = (
            datetime.fromtimestamp(int(text), UTC)
            if _UNIX_SECONDS.fullmatch(text)
            else datetime.fromisoformat(text)
        )
        return read if read.tzinfo else read.astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def time_of(value: str | float) -> datetime:
    """A time of an answer: ISO 8601, or Unix seconds."""
    return (
        datetime.fromtimestamp(value, UTC)
        if isinstance(value, int | float)
        else datetime.fromisoformat(value)
    )


def ago(value: str | float | None, now: datetime | None = None) -> str:
    """A time of an answer for people: how long ago or how soon it is, and the day where that is long."""
    if value is None:
        return "-"
    at = time_of(value)
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    away = abs(seconds)
    if away >= _ABSOLUTE_AFTER_DAYS * _DAY_S:
        return f"{at.astimezone():%Y-%m-%d}"
    for below, unit_s, unit in _STEPS:
        if away < below:
            said = f"{away / unit_s:.0f} {unit}"
            break
    else:
        said = f"{away / _DAY_S:.0f} d"
    return f"{said} ago" if seconds >= 0 else f"in {said}"


def exactly(value: str | float | None) -> str:
    """A time of an answer, to the second in this machine's zone, and how long ago that is."""
    if value is None:
        return "-"
    at = time_of(value)
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S %Z} ({ago(value)})"
