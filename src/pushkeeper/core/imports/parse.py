"""Parse Server: the class `_Installation`, as mongoexport or the REST API writes it. Pure.

Source: the schema of `_Installation` in Parse Server's SchemaController.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.imports import values
from pushkeeper.core.imports.devices import checked
from pushkeeper.core.imports.row import ImportedDevice, ImportedPerson, ImportedRow, Skip, SkipReason
from pushkeeper.core.model import Platform

if TYPE_CHECKING:
    from pushkeeper.core.imports.row import ImportOptions, Record

_PHONES = {"ios": Platform.IOS, "android": Platform.ANDROID}
_OTHERS = frozenset({"winrt", "winphone", "dotnet", "embedded", "osx", "tvos", "macos", "js"})
_POINTER = "_User$"


def read(record: Record, options: ImportOptions) -> ImportedRow:
    """One installation; of one without a token the person is imported alone.

    `Skip` where nothing of it can be imported.
    """
    user = _user(record)
    installation = values.text(record, "installationId") or values.text(record, "objectId")
    installation = installation or values.text(record, "_id")
    if user is None and installation is None:
        raise Skip(SkipReason.NO_PERSON, "user", "is empty, and so is installationId")
    person = ImportedPerson(id=user, anonymous_id=None if user else f"parse:{installation}")
    try:
        return ImportedRow(person=person, devices=(_device(record, options),))
    except Skip as skip:
        if user is None:
            raise
        return ImportedRow(person=person, skipped=(skip,))


def _device(record: Record, options: ImportOptions) -> ImportedDevice:
    kind = (values.text(record, "deviceType") or "").lower()
    if kind == "web":
        raise Skip(SkipReason.WEB_NOT_SUPPORTED, "deviceType")
    if kind in _OTHERS:
        raise Skip(SkipReason.PLATFORM_NOT_SUPPORTED, "deviceType", kind)
    if kind not in _PHONES:
        raise Skip(SkipReason.MALFORMED, "deviceType", "is not one of Parse's device types")
    channels = record.get("channels")
    return checked(
        ImportedDevice(
            token=values.text(record, "deviceToken") or "",
            platform=_PHONES[kind],
            app=values.text(record, "appIdentifier"),
            last_used=values.time(record, "updatedAt") or values.time(record, "_updated_at"),
            attributes=values.without_empty(
                app_version=values.text(record, "appVersion"),
                device_locale=values.text(record, "localeIdentifier"),
                timezone=values.text(record, "timeZone"),
                channels=channels if isinstance(channels, list) and channels else None,
            ),
        ),
        options,
        field="deviceToken",
    )


def _user(record: Record) -> str | None:
    """The object id that the pointer to the user holds: an object by REST, a text in MongoDB."""
    pointer = record.get("user")
    if isinstance(pointer, dict):
        return values.text(pointer, "objectId")
    text = values.text(record, "_p_user")
    return text.removeprefix(_POINTER) if text is not None and text.startswith(_POINTER) else None
