"""How things are called on the pages: statuses, events, endings, and what a reason means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.core.delivery.reason_codes import MEANINGS
from pushkeeper.core.filters.from_text import EVERYBODY, read
from pushkeeper.core.filters.to_text import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushkeeper.services.broadcasts.service import Broadcast
    from pushkeeper.services.reports.reach import Moment

STATUSES = ("sent", "", "bounced", "suppressed")
STATUS_NAMES: Mapping[str, str] = {
    "": "unused",
    "sent": "sent",
    "bounced": "bounced",
    "suppressed": "suppressed",
}
STATUS_MEANS: Mapping[str, str] = {
    "": "not pushed to since it was registered",
    "sent": "the push service took the last push",
    "bounced": "the push service refused the last push because of this device",
    "suppressed": "refused again and again: no more attempts until it is registered again",
}
EVENT_SAYS: Mapping[str, str] = {
    "registered": "Registered",
    "imported": "Imported",
    "refreshed": "Registered again by the same person",
    "moved": "Moved to another person",
    "accepted": "A push was accepted",
    "refused": "A push was refused",
    "refused_as_stale": "Refused as of before its registration",
    "deleted": "Deleted",
    "undone": "A strike was taken back",
    "merged": "Merged with the same token in another spelling",
}
ENDING_TONES: Mapping[str, str] = {
    "accepted": "sent",
    "bounced": "bounced",
    "failed": "suppressed",
    "expired": "unused",
    "unknown": "unused",
    "skipped": "unused",
}
METRIC_TONES: Mapping[str, str] = {
    "sent": "sent",
    "delivered": "sent",
    "opened": "sent",
    "clicked": "sent",
    "converted": "sent",
    "bounced": "bounced",
    "failed": "suppressed",
    "undeliverable": "suppressed",
    "dropped": "unused",
    "created": "unused",
    "attempted": "unused",
    "drafted": "unused",
}
BROADCAST_TONES: Mapping[str, tuple[str, str]] = {
    "draft": ("unused", "unused"),
    "scheduled": ("unused", "clock"),
    "sending": ("sent", "moved"),
    "paused": ("bounced", "bounced"),
    "sent": ("sent", "done"),
    "stopped": ("suppressed", "suppressed"),
    "cancelled": ("unused", "gone"),
    "failed": ("suppressed", "suppressed"),
}
NO_END_BECAUSE: Mapping[str, str] = {
    "not_started": "it waits for its hour",
    "paused": "it is paused",
    "route_paused": "what is left waits for a route that is paused",
    "nothing_yet": "nothing of it has come to an end of late",
}
STEP_NAMES: Mapping[str, str] = {
    "known": "Known",
    "audience": "Audience",
    "owner": "Whose",
    "status": "Status",
    "preference": "Wishes",
    "content": "Content",
    "route": "Route",
    "plan": "Plan",
    "attempts": "Attempts",
    "reports": "App",
}
PLATFORM_NAMES: Mapping[str, str] = {"ios": "iOS", "android": "Android", "web": "Web"}


ACTIVITY_SAYS: Mapping[str, str] = {
    "event": "Event",
    "page": "Saw the page",
    "screen": "Saw the screen",
    "profile_create": "Became known",
    "sent_push": "A push was accepted",
    "bounced_push": "A push bounced",
    "dropped_push": "A push was left out",
    "failed_push": "A push failed",
    "undeliverable_push": "A push had no device to go to",
    "delivered_push": "The app got a push",
    "opened_push": "Opened a push",
    "clicked_push": "Followed the link of a push",
    "converted_push": "Did what a push was for",
}


def because(reason: str) -> str:
    """What a reason code means, as part of a sentence; empty when there is nothing to say."""
    return MEANINGS.get(reason) or reason.replace("_", " ")


def activity(kind: str, name: str | None) -> str:
    """What somebody did or what happened to them, in a few words."""
    if kind == "device_change":
        return f"A device: {(EVENT_SAYS.get(name or '') or name or 'changed').lower()}"
    if kind == "failed_attribute_change":
        return f"The {name} was not applied: it belongs to somebody else, or the person has another"
    said = ACTIVITY_SAYS.get(kind, kind)
    return f"{said} {name}" if name else said


def activity_tone(kind: str, told: Mapping[str, object]) -> str:
    """The tone of an activity: of a device, that of what it became."""
    if kind == "device_change":
        return str(told.get("to_status") or "unused")
    return METRIC_TONES.get(kind.removesuffix("_push"), "unused")


@dataclass(frozen=True, slots=True)
class ActivityText:
    """What is told of an activity: a provider's answer, what that means, and the rest as it was said."""

    answer: str
    because: str
    rest: Mapping[str, Any]


_OF_ANSWERS = ("from_status", "to_status", "provider", "provider_status", "provider_reason", "reason")


def activity_told(told: Mapping[str, Any]) -> ActivityText:
    """What is told of an activity."""
    return ActivityText(
        answer=answer_of(told.get("provider"), told.get("provider_status"), told.get("provider_reason")),
        because=because(str(told.get("reason") or "")),
        rest={name: value for name, value in told.items() if name not in _OF_ANSWERS},
    )


def answer_of(provider: str | None, status: int | None, reason: str | None) -> str:
    """What a provider answered, in its own words; empty when it was not asked."""
    name = {"apns": "APNs", "fcm": "FCM"}.get(provider or "", provider or "")
    return " ".join(str(part) for part in (name, status, reason) if part)


def activity_icon(kind: str, tone: str) -> str:
    """The shape of an activity."""
    return tone if kind.endswith("_push") or kind == "device_change" else "unused"


def platform(name: str) -> str:
    """A platform's name as its makers write it."""
    return PLATFORM_NAMES.get(name, name)


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent; a dash of nothing."""
    if not whole:
        return "–"  # noqa: RUF001 - a dash
    per_cent = 100 * part / whole
    return f"{per_cent:.1f} %" if 0 < per_cent < 99.95 else f"{per_cent:.0f} %"  # noqa: PLR2004 - rounds to 100


def parts(counts: Mapping[str, int], whole: float) -> list[tuple[str, float, float]]:
    """What is counted by ink as the parts of a bar: each with where it begins and how long it is, in per cent of a whole."""
    found, at = [], 0.0
    for ink, count in counts.items():
        length = 100 * count / whole if whole else 0.0
        if length:
            found.append((ink, round(at, 3), round(length, 3)))
        at += length
    return found


def span(seconds: float | None) -> str:
    """A length of time in its greatest unit; a dash of none."""
    if seconds is None:
        return "–"  # noqa: RUF001 - a dash
    for unit, length_s in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length_s:
            return plural(round(seconds / length_s), unit)
    return plural(round(seconds), "second")


def rate(per_s: float) -> str:
    """A rate: in a minute where it is less than one in a second."""
    if per_s >= 1:
        return f"{per_s:,.0f} a second"
    return f"{per_s * 60:,.3g} a minute"


def rounded(value: float) -> int:
    """A number of which only the first two digits are known."""
    digits = len(str(int(value)))
    return int(round(value, -(digits - 2))) if digits > 2 else int(value)  # noqa: PLR2004 - two digits


def broadcast_name(broadcast: Broadcast) -> str:
    """What a broadcast is called: as somebody named it, or else by what it says."""
    said = broadcast.name or broadcast.content.title or broadcast.content.message
    return said or f"Broadcast {broadcast.broadcast_id}"


def audience(broadcast: Broadcast) -> str:
    """To whom a broadcast goes: its filter in the text form, or how they were named."""
    if broadcast.audience is not None:
        given = broadcast.audience
        return given if isinstance(given, str) else text_of(read(given))
    if broadcast.device_ids is not None:
        return f"{plural(len(broadcast.device_ids), 'device')} by their tokens"
    return "people by their names" if broadcast.listed else EVERYBODY


def plural(count: int, one: str, many: str = "") -> str:
    """So many of something."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def chart_of_moments(moments: Sequence[Moment]) -> list[dict[str, object]]:
    """Devices by last status as the series of a chart, the lowest first."""
    return [
        {
            "name": STATUS_NAMES[status],
            "ink": STATUS_NAMES[status],
            "values": [moment.devices.get(status, 0) for moment in moments],
        }
        for status in STATUSES
    ]
