"""OneSignal: the CSV that `POST /players/csv_export` makes, one subscription a line. Pure.

Source: OneSignal's documentation of the CSV export, and `onesignal-python-api` 5.18.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.core.imports import values
from pushkeeper.core.imports.devices import checked, status_of
from pushkeeper.core.imports.row import ImportedDevice, ImportedPerson, ImportedRow, Skip, SkipReason
from pushkeeper.core.model import Platform

if TYPE_CHECKING:
    from pushkeeper.core.imports.row import ImportOptions, Record

_PHONES = {"0": Platform.IOS, "1": Platform.ANDROID}
_WEB = frozenset({"5", "7", "8", "17"})
_CHANNELS = {"11": "e-mail", "14": "SMS"}
_OTHERS = {
    "2": "Amazon",
    "3": "Windows Phone",
    "4": "Chrome app",
    "6": "Windows",
    "9": "macOS",
    "10": "Alexa",
    "13": "Huawei",
}


def read(record: Record, options: ImportOptions) -> ImportedRow:
    """One subscription.

    `Skip` where it is not of a phone, or nothing of it can be imported.
    """
    kind = values.text(record, "device_type")
    platform = _platform(kind)
    subscription = values.text(record, "id")
    external_id = values.text(record, "external_user_id")
    if external_id is None and subscription is None:
        raise Skip(SkipReason.NO_PERSON, "external_user_id", "is empty, and so is id")
    return ImportedRow(
        person=ImportedPerson(
            id=external_id,
            anonymous_id=None if external_id else f"onesignal:{subscription}",
            attributes=values.json_object(record, "tags"),
        ),
        devices=(
            checked(
                ImportedDevice(
                    token=values.text(record, "identifier") or "",
                    platform=platform,
                    last_used=values.time(record, "last_active"),
                    status=status_of(valid=not values.flag(record, "invalid_identifier")),
                    attributes=_attributes(record),
                ),
                options,
                field="identifier",
            ),
        ),
    )


def _platform(kind: str | None) -> Platform:
    if kind in _PHONES:
        return _PHONES[kind]
    if kind in _WEB:
        raise Skip(SkipReason.WEB_NOT_SUPPORTED, "device_type")
    if kind in _CHANNELS:
        raise Skip(SkipReason.CHANNEL_NOT_SUPPORTED, "device_type", _CHANNELS[kind])
    if kind in _OTHERS:
        raise Skip(SkipReason.PLATFORM_NOT_SUPPORTED, "device_type", _OTHERS[kind])
    raise Skip(SkipReason.MALFORMED, "device_type", "is not one of OneSignal's device types")


def _attributes(record: Record) -> dict[str, Any]:
    """`timezone` is seconds from UTC, from which no zone follows."""
    types = values.text(record, "notification_types")
    muted = types is not None and types.lstrip("-").isdigit() and int(types) <= 0
    return values.without_empty(
        app_version=values.text(record, "game_version"),
        device_model=values.text(record, "device_model"),
        device_os=values.text(record, "device_os"),
        device_locale=values.text(record, "language"),
        utc_offset_s=values.text(record, "timezone"),
        push_enabled=False if muted else None,
    )
