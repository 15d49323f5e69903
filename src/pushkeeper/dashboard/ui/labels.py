"""Labels of the dashboard: statuses, events, outcomes and reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.core import times
from pushkeeper.core.broadcasts.results import Status
from pushkeeper.core.delivery.reason_codes import MEANINGS
from pushkeeper.core.filters.from_text import EVERYBODY, read
from pushkeeper.core.filters.to_text import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

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
    "": "No push sent since registration",
    "sent": "Last push was accepted by the push service",
    "bounced": "Last push was rejected for this device",
    "suppressed": "Rejected repeatedly. No further pushes until the device re-registers",
}
EVENT_SAYS: Mapping[str, str] = {
    "registered": "Registered",
    "imported": "Imported",
    "refreshed": "Re-registered by the same person",
    "moved": "Moved to another person",
    "accepted": "Push accepted",
    "refused": "Push rejected",
    "refused_as_stale": "Stale rejection ignored (older than this registration)",
    "deleted": "Deleted",
    "undone": "Bounce reverted",
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
METRIC_NAMES: Mapping[str, str] = {"sent": "accepted", "dropped": "skipped", "undeliverable": "no device"}
ROUTE_STATES: Mapping[str, str] = {
    "proved": "verified",
    "unproved": "not verified",
    "slowed": "rate-limited",
    "paused": "paused",
}
BROADCAST_TONES: Mapping[Status, tuple[str, str]] = {
    Status.DRAFT: ("unused", "unused"),
    Status.SCHEDULED: ("unused", "clock"),
    Status.SENDING: ("sent", "moved"),
    Status.PAUSED: ("bounced", "bounced"),
    Status.SENT: ("sent", "done"),
    Status.SENT_WITH_ERRORS: ("bounced", "warn"),
    Status.NO_RECIPIENTS: ("unused", "unused"),
    Status.STOPPED: ("suppressed", "suppressed"),
    Status.CANCELLED: ("unused", "gone"),
    Status.FAILED: ("suppressed", "suppressed"),
}
NO_END_BECAUSE: Mapping[str, str] = {
    "not_started": "waiting for its scheduled time",
    "paused": "paused",
    "sending_paused": "all sending is paused",
    "route_paused": "remaining pushes are waiting for a paused route",
    "nothing_yet": "no pushes processed yet",
}
STEP_NAMES: Mapping[str, str] = {
    "known": "Identity",
    "audience": "Audience",
    "owner": "Owner",
    "status": "Status",
    "preference": "Subscription",
    "content": "Content",
    "route": "Route",
    "plan": "Plan",
    "attempts": "Attempts",
    "reports": "App events",
}
PROVIDER_NAMES: Mapping[str, str] = {"apns": "APNs", "fcm": "FCM", "webpush": "Web Push"}
BROWSER_SERVICE_NAMES: Mapping[str, str] = {
    "google": "Google",
    "mozilla": "Mozilla",
    "apple": "Apple",
    "microsoft": "Microsoft",
    "other": "other push services",
}
PLATFORM_NAMES: Mapping[str, str] = {"ios": "iOS", "android": "Android", "web": "Web"}


ACTIVITY_SAYS: Mapping[str, str] = {
    "event": "Event",
    "page": "Viewed page",
    "screen": "Viewed screen",
    "profile_create": "Profile created",
    "sent_push": "Push accepted",
    "bounced_push": "Push bounced",
    "dropped_push": "Push skipped",
    "failed_push": "Push failed",
    "undeliverable_push": "Undeliverable (no device)",
    "delivered_push": "Push delivered",
    "opened_push": "Push opened",
    "clicked_push": "Push link clicked",
    "converted_push": "Converted",
}


_VERBS = {
    "make": "create",
    "change": "update",
    "put": "save",
    "probe": "test",
    "ping": "test",
    "log_in": "log in",
}
_ACTIONS = {
    "strikes.undo": "Revert bounces",
    "strikes.resume": "Resume reverting bounces",
    "tokens.read": "Read tokens",
    "push.send": "Send push",
    "user.log_in": "Log in",
    "user.log_out": "Log out",
    "user.set_password": "Set password",
    "user.change_password": "Change password",
    "user.link": "Create login link",
    "user.role": "Change role",
    "route.apply": "Apply held rejections",
    "route.discard": "Discard held rejections",
}


def action(code: str) -> str:
    """An action of the audit log in words: "broadcast.make" is "Create broadcast"."""
    if code in _ACTIONS:
        return _ACTIONS[code]
    noun, _, verb = code.partition(".")
    verb = _VERBS.get(verb, verb.replace("_", " "))
    return f"{verb[:1].upper()}{verb[1:]} {noun.replace('_', ' ')}"


def metric_name(name: str) -> str:
    """The label of a delivery metric, which is the word for that outcome everywhere."""
    return METRIC_NAMES.get(name, name)


def because(reason: str) -> str:
    """What a reason code means, as a phrase; empty without a reason."""
    meaning = MEANINGS.get(reason) or reason.replace("_", " ")
    return meaning[:1].upper() + meaning[1:]


def activity(kind: str, name: str | None) -> str:
    """The label of an activity."""
    if kind == "device_change":
        return f"Device: {(EVENT_SAYS.get(name or '') or name or 'changed').lower()}"
    if kind == "failed_attribute_change":
        return f"{name} not applied: it belongs to another person, or this person already has one"
    said = ACTIVITY_SAYS.get(kind, kind)
    return f"{said} {name}" if name else said


def activity_tone(kind: str, told: Mapping[str, object]) -> str:
    """The tone of an activity; for a device change, that of the new status."""
    if kind == "device_change":
        return str(told.get("to_status") or "unused")
    return METRIC_TONES.get(kind.removesuffix("_push"), "unused")


@dataclass(frozen=True, slots=True)
class ActivityText:
    """Details of an activity: the provider's response, its meaning, and all other fields."""

    answer: str
    because: str
    rest: Mapping[str, Any]


_OF_ANSWERS = ("from_status", "to_status", "provider", "provider_status", "provider_reason", "reason")


def activity_told(told: Mapping[str, Any]) -> ActivityText:
    """The details of an activity."""
    return ActivityText(
        answer=answer_of(told.get("provider"), told.get("provider_status"), told.get("provider_reason")),
        because=because(str(told.get("reason") or "")),
        rest={name: value for name, value in told.items() if name not in _OF_ANSWERS},
    )


def answer_of(provider: str | None, status: int | None, reason: str | None) -> str:
    """The provider's response; empty if it was not asked."""
    name = PROVIDER_NAMES.get(provider or "", provider or "")
    return " ".join(str(part) for part in (name, status, reason) if part)


def activity_icon(kind: str, tone: str) -> str:
    """The icon of an activity."""
    return tone if kind.endswith("_push") or kind == "device_change" else "unused"


def platform(name: str) -> str:
    """A platform's name as its vendor writes it."""
    return PLATFORM_NAMES.get(name, name)


def share(part: float, whole: float) -> str:
    """A percentage; a dash if the whole is zero."""
    if not whole:
        return "–"  # noqa: RUF001 - a dash
    return share_text(100 * part / whole)


def share_text(per_cent: float) -> str:
    """A percentage, with one decimal unless it is none or all."""
    return f"{per_cent:.1f}%" if 0 < per_cent < 99.95 else f"{per_cent:.0f}%"  # noqa: PLR2004 - rounds to 100


def rate_of(share: float | None) -> str:
    """A rate as a percentage; a dash for None."""
    return "–" if share is None else share_text(100 * share)  # noqa: RUF001 - a dash


def parts(counts: Mapping[str, int], whole: float) -> list[tuple[str, float, float]]:
    """The segments of a bar: color, start and length, in percent of the whole."""
    found, at = [], 0.0
    for ink, count in counts.items():
        length = 100 * count / whole if whole else 0.0
        if length:
            found.append((ink, round(at, 3), round(length, 3)))
        at += length
    return found


def span(seconds: float | None) -> str:
    """A duration in its largest unit; a dash if unknown."""
    if seconds is None:
        return "–"  # noqa: RUF001 - a dash
    for unit, length_s in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length_s:
            return plural(round(seconds / length_s), unit)
    return plural(round(seconds), "second")


def rate(per_s: float) -> str:
    """A rate; per minute if it is below one per second."""
    if per_s >= 1:
        return f"{per_s:,.0f}/s"
    return f"{per_s * 60:,.3g}/min"


def rounded(value: float) -> int:
    """A number rounded to two significant digits."""
    digits = len(str(int(value)))
    return int(round(value, -(digits - 2))) if digits > 2 else int(value)  # noqa: PLR2004 - two digits


def broadcast_name(broadcast: Broadcast) -> str:
    """The name of a broadcast, else its title, message or number."""
    return broadcast.title


def audience(broadcast: Broadcast) -> str:
    """The audience of a broadcast: its filter as text, or the list that replaces it."""
    if broadcast.audience is not None:
        given = broadcast.audience
        return given if isinstance(given, str) else text_of(read(given))
    if broadcast.device_ids is not None:
        return f"{plural(len(broadcast.device_ids), 'listed device')}"
    return "listed people" if broadcast.listed else EVERYBODY


def full_name(attributes: Mapping[str, Any]) -> str:
    """What a person is called by their attributes; empty if those do not say."""
    parts = [attributes.get(name) for name in ("first_name", "last_name")]
    said = " ".join(part.strip() for part in parts if isinstance(part, str) and part.strip())
    name = attributes.get("name")
    return said or (name.strip() if isinstance(name, str) else "")


def moment(name: str, value: object) -> datetime | None:
    """The time that an attribute is, if its name says that it is one and its value are seconds since 1970."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return times.from_seconds(value) if name.endswith("_at") and is_number else None


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def chart_of_moments(moments: Sequence[Moment]) -> list[dict[str, object]]:
    """Devices by last status as chart series, the lowest first."""
    return [
        {
            "name": STATUS_NAMES[status],
            "ink": STATUS_NAMES[status],
            "values": [moment.devices.get(status, 0) for moment in moments],
        }
        for status in STATUSES
    ]
