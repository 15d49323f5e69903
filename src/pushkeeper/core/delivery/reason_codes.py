"""Reason codes of push outcomes. A code is stored, counted and shown with its meaning, and never changes.

Those of provider responses come from the decision table; the others are Pushkeeper's own.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.core.delivery import decision_table

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN: Mapping[str, str] = {
    "cancelled": "the broadcast was cancelled before this device was processed",
    "channel_off": "the person has disabled pushes",
    "deleted": "the device was deleted",
    "dry_run": "dry run, not displayed",
    "expired": "expired before it could be sent",
    "malformed": "the push service rejected the message as malformed for other devices",
    "moved": "the device now belongs to another person",
    "no_content": "no content for this platform",
    "no_device": "the person has no device",
    "no_keys": "the browser's encryption keys are not stored",
    "no_permission": "notifications are disabled on the device",
    "no_route": "no credentials for this platform, app and environment",
    "not_understood": "internal error: the provider's response could not be read",
    "other_platform": "the message is for other platforms only",
    "same_phone": "the same physical device has a newer token",
    "suppressed": "the device is suppressed",
    "template": "template error: a variable is missing or invalid for this person",
    "too_large": "the payload exceeds the push service's size limit",
    "unreadable": "the stored message or device cannot be read",
    "unrecordable": "sent, but the provider's response could not be stored",
    "unsendable": "internal error: the request could not be created",
    "unsubscribed": "the person is unsubscribed",
}

MEANINGS: Mapping[str, str] = {**{row.code: row.meaning for row in decision_table.TABLE}, **OWN}
"""Every code with its meaning, as a phrase."""

OTHER = "other"  # the code in counts of rows that have none


class Answers(NamedTuple):
    """Provider responses as they are stored with a bounce; `reasons` are the provider's, None for any."""

    provider: str
    statuses: tuple[int, ...]
    reasons: tuple[str, ...] | None = None


# A bounce is stored with the provider's response. The codes of a 410 of Apple's differ by times that are not kept.
STRIKES: Mapping[str, Answers] = {
    "apns_bad_device_token": Answers("apns", (400,), ("BadDeviceToken", "InvalidToken")),
    "apns_device_token_not_for_topic": Answers("apns", (400,), ("DeviceTokenNotForTopic",)),
    "apns_unregistered": Answers("apns", (410,)),
    "fcm_apns_error": Answers("fcm", (400,), ("BadDeviceToken", "InvalidToken", "DeviceTokenNotForTopic")),
    "fcm_apns_unregistered": Answers("fcm", (400,), ("Unregistered", "ExpiredToken")),
    "fcm_invalid_argument_token": Answers("fcm", (400,), ("INVALID_ARGUMENT",)),
    "fcm_sender_id_mismatch": Answers("fcm", (403,), ("SENDER_ID_MISMATCH",)),
    "fcm_unregistered": Answers("fcm", (404,)),
    "webpush_bad_keys": Answers("webpush", (400,)),
    "webpush_unregistered": Answers("webpush", (404, 410)),
}


def similar(text: str) -> str | None:
    """The reason code of bounces that a filter may select."""
    return next(iter(get_close_matches(text.lower(), STRIKES, n=1, cutoff=0.5)), None)
