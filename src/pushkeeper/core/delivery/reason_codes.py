"""Reason codes: why a push ended as it did. A code is stored, counted and shown beside its meaning, and never changes.

Of a push service's answers they are those of the decision table; the others are ours.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.core.delivery import decision_table

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN: Mapping[str, str] = {
    "cancelled": "the broadcast was cancelled before it came to this device",
    "channel_off": "the person wants no pushes",
    "deleted": "the device was deleted",
    "dry_run": "it was only tried: nothing was shown",
    "expired": "its time was over before it could be sent",
    "malformed": "the push services called the message malformed at other devices",
    "moved": "the device is another person's now",
    "no_content": "the message says nothing to this platform",
    "no_device": "the person has no device",
    "no_permission": "the app may show no push on the phone",
    "no_route": "there are no credentials for this platform, app and environment",
    "not_understood": "the push service's answer could not be read, by an error of ours",
    "other_platform": "the message is for other platforms",
    "same_phone": "the person has the same phone under a later token",
    "suppressed": "the device is suppressed",
    "template": "the template could not be filled in for this person",
    "too_large": "the push is larger than the push services take",
    "unreadable": "what is stored of the message or the device cannot be read",
    "unrecordable": "it was sent, and the push service's answer could not be stored",
    "unsendable": "the request could not be made, by an error of ours",
    "unsubscribed": "the person is unsubscribed",
}

MEANINGS: Mapping[str, str] = {**{row.code: row.meaning for row in decision_table.TABLE}, **OWN}
"""Every code, and what it means as part of a sentence."""

OTHER = "other"  # what counts of reasons say of one that has no code


class Answers(NamedTuple):
    """Answers of a push service, as they are kept with a strike; `reasons` are its own words, None for any."""

    provider: str
    status: int
    reasons: tuple[str, ...] | None = None


# What is kept of a strike is the push service's answer. The codes of a 410 of Apple's differ by times that are not kept.
STRIKES: Mapping[str, Answers] = {
    "apns_bad_device_token": Answers("apns", 400, ("BadDeviceToken", "InvalidToken")),
    "apns_device_token_not_for_topic": Answers("apns", 400, ("DeviceTokenNotForTopic",)),
    "apns_unregistered": Answers("apns", 410),
    "fcm_apns_error": Answers("fcm", 400, ("BadDeviceToken", "InvalidToken", "DeviceTokenNotForTopic")),
    "fcm_apns_unregistered": Answers("fcm", 400, ("Unregistered", "ExpiredToken")),
    "fcm_invalid_argument_token": Answers("fcm", 400, ("INVALID_ARGUMENT",)),
    "fcm_sender_id_mismatch": Answers("fcm", 403, ("SENDER_ID_MISMATCH",)),
    "fcm_unregistered": Answers("fcm", 404),
}


def similar(text: str) -> str | None:
    """The reason code of strikes that somebody may have meant."""
    return next(iter(get_close_matches(text.lower(), STRIKES, n=1, cutoff=0.5)), None)
