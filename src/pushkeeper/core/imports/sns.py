"""Amazon SNS: platform endpoints, as `list-endpoints-by-platform-application` prints them. Pure.

Source: `Endpoint` in botocore's model of SNS, and the form of an endpoint's ARN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

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
_OTHERS = frozenset(
    {
        "ADM",
        "BAIDU",
        "WNS",
        "MPNS",
        "APNS_VOIP",
        "APNS_VOIP_SANDBOX",
        "APNS_PASSBOOK",
        "MACOS",
        "MACOS_SANDBOX",
    }
)
# arn:aws:sns:REGION:ACCOUNT:endpoint/PLATFORM/APPLICATION/UUID
_PARTS = 4


def read(record: Record, options: ImportOptions) -> ImportedRow:
    """One endpoint. SNS knows no people: the id is in `CustomUserData`, if the app wrote it there.

    `Skip` where it is not of a phone, or nothing of it can be imported.
    """
    arn = values.text(record, "EndpointArn") or ""
    parts = arn.rpartition(":")[2].split("/")
    if len(parts) != _PARTS or parts[0] != "endpoint":
        raise Skip(SkipReason.MALFORMED, "EndpointArn", "is not the ARN of an endpoint")
    kind, uuid = parts[1], parts[3]
    if kind in _OTHERS:
        raise Skip(SkipReason.PLATFORM_NOT_SUPPORTED, "EndpointArn", kind)
    if kind not in _PHONES:
        raise Skip(SkipReason.MALFORMED, "EndpointArn", "names no platform of SNS")
    platform, environment = _PHONES[kind]
    attributes = values.json_object(record, "Attributes")
    person_id = _person(values.text(attributes, "CustomUserData"), options.person_from)
    return ImportedRow(
        person=ImportedPerson(id=person_id, anonymous_id=None if person_id else f"sns:{uuid}"),
        devices=(
            checked(
                ImportedDevice(
                    token=values.text(attributes, "Token") or "",
                    platform=platform,
                    environment=environment,
                    status=status_of(valid=values.flag(attributes, "Enabled") is not False),
                ),
                options,
                field="Attributes.Token",
            ),
        ),
    )


def _person(data: str | None, path: str) -> str | None:
    """The id of the person in an endpoint's custom data."""
    if data is None or not path:
        return None
    if path == "text":
        return data
    try:
        found: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise Skip(SkipReason.NO_PERSON, "Attributes.CustomUserData", "is not JSON") from None
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found.strip() or None if isinstance(found, str) else None
