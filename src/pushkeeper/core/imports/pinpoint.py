"""Amazon Pinpoint: the endpoints of an export job, as JSON lines or as CSV with dotted column names. Pure.

Source: `EndpointResponse` in botocore's model of Pinpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.core.imports import values
from pushkeeper.core.imports.devices import checked, status_of
from pushkeeper.core.imports.row import ImportedDevice, ImportedPerson, ImportedRow, Skip, SkipReason
from pushkeeper.core.model import Environment, Platform

if TYPE_CHECKING:
    from pushkeeper.core.imports.row import ImportOptions, Record

_PHONES: dict[str, tuple[Platform, Environment | None]] = {
    "APNS": (Platform.IOS, Environment.PRODUCTION),
    "APNS_SANDBOX": (Platform.IOS, Environment.SANDBOX),
    "GCM": (Platform.ANDROID, None),
}
_PLATFORMS = frozenset({"ADM", "BAIDU", "APNS_VOIP", "APNS_VOIP_SANDBOX"})
_CHANNELS = frozenset({"EMAIL", "SMS", "VOICE", "CUSTOM", "IN_APP", "PUSH"})
_OBJECTS = ("User.UserAttributes", "User", "Attributes", "Demographic", "Location", "Metrics")


def read(record: Record, options: ImportOptions) -> ImportedRow:
    """One endpoint. Pinpoint keeps 15 of a user at most: devices that it dropped are not in its export.

    `Skip` where it is not of a phone, or nothing of it can be imported.
    """
    nested = _nested(record)
    channel = values.text(nested, "ChannelType")
    if channel in _PLATFORMS:
        raise Skip(SkipReason.PLATFORM_NOT_SUPPORTED, "ChannelType", channel or "")
    if channel in _CHANNELS:
        raise Skip(SkipReason.CHANNEL_NOT_SUPPORTED, "ChannelType", channel or "")
    if channel not in _PHONES:
        raise Skip(SkipReason.MALFORMED, "ChannelType", "is not one of Pinpoint's channels")
    platform, environment = _PHONES[channel]
    user = values.json_object(nested, "User")
    user_id, endpoint = values.text(user, "UserId"), values.text(nested, "Id")
    if user_id is None and endpoint is None:
        raise Skip(SkipReason.NO_PERSON, "User.UserId", "is empty, and so is Id")
    return ImportedRow(
        person=ImportedPerson(
            id=user_id,
            anonymous_id=None if user_id else f"pinpoint:{endpoint}",
            attributes=_single(values.json_object(user, "UserAttributes")),
            unsubscribed=True if values.text(nested, "OptOut") == "ALL" else None,
        ),
        devices=(
            checked(
                ImportedDevice(
                    token=values.text(nested, "Address") or "",
                    platform=platform,
                    environment=environment,
                    last_used=values.time(nested, "EffectiveDate"),
                    status=status_of(valid=values.text(nested, "EndpointStatus") != "INACTIVE"),
                    attributes=_attributes(nested),
                ),
                options,
                field="Address",
            ),
        ),
    )


def _nested(record: Record) -> Record:
    """A record of the CSV, whose `User.UserId` and the like are objects in the JSON; empty cells are nothing."""
    if not any("." in name for name in record):
        return record
    nested: dict[str, Any] = {}
    for name, value in record.items():
        if value == "":
            continue
        *path, last = _path(name)
        place = nested
        for step in path:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise Skip(SkipReason.MALFORMED, name, "is a value and an object")
        place[last] = value
    return nested


def _path(name: str) -> list[str]:
    """The path of keys in a column's name; attribute names may contain dots."""
    for prefix in _OBJECTS:
        if name.startswith(f"{prefix}."):
            return [*prefix.split("."), name.removeprefix(f"{prefix}.")]
    return [name]


def _single(attributes: dict[str, Any]) -> dict[str, Any]:
    """Pinpoint's values are lists; one of one element is that element."""
    return {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value
        for name, value in attributes.items()
    }


def _attributes(nested: Record) -> dict[str, Any]:
    demographic = values.json_object(nested, "Demographic")
    location = values.json_object(nested, "Location")
    return {
        **_single(values.json_object(nested, "Attributes")),
        **values.without_empty(
            app_version=values.text(demographic, "AppVersion"),
            device_model=values.text(demographic, "Model"),
            device_os=values.text(demographic, "PlatformVersion"),
            device_locale=values.text(demographic, "Locale"),
            timezone=values.text(demographic, "Timezone"),
            country=values.text(location, "Country"),
            city=values.text(location, "City"),
        ),
    }
