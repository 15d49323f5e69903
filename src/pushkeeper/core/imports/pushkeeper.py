"""Our own exports of devices and of people, CSV or JSON lines, and people as Customer.io's App API returns them. Pure.

A record says the same as the row that it was exported from, to the last blank: nothing is trimmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core import csv_text
from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.imports import customerio, values
from pushkeeper.core.imports.devices import checked
from pushkeeper.core.imports.records import CsvRecord
from pushkeeper.core.imports.row import ImportedDevice, ImportedPerson, ImportedRow, Skip, SkipReason
from pushkeeper.core.model import Environment, Platform

if TYPE_CHECKING:
    from pushkeeper.core.imports.row import ImportOptions, Record

_UNUSED = "unused"


def read(record: Record, options: ImportOptions) -> ImportedRow:
    """A device with its person, or a person with their devices.

    `Skip` where nothing of it can be imported.
    """
    if "identifiers" in record:
        return customerio.read(record, options)
    if isinstance(record, CsvRecord):
        record = {name: csv_text.unguarded(value) for name, value in record.items()}
    if "token" in record:
        person = ImportedPerson(id=_text(record, "person_id"), email=_text(record, "person_email"))
        _named(person, "person_id")
        return ImportedRow(person=person, devices=(_device(record, options),))
    return _person(record, options)


def _person(record: Record, options: ImportOptions) -> ImportedRow:
    person = ImportedPerson(
        id=_text(record, "id"),
        email=_text(record, "email"),
        attributes=values.json_object(record, "attributes"),
        unsubscribed=values.flag(record, "unsubscribed"),
        created_at=values.time(record, "created_at"),
    )
    _named(person, "id")
    devices: list[ImportedDevice] = []
    skipped: list[Skip] = []
    for place, one in enumerate(_list(record, "devices")):
        try:
            devices.append(_device(_object(one), options))
        except Skip as skip:
            skipped.append(Skip(skip.reason, f"devices[{place}].{skip.field}".rstrip("."), skip.detail))
    return ImportedRow(person=person, devices=tuple(devices), skipped=tuple(skipped))


def _object(value: object) -> Record:
    if not isinstance(value, dict):
        raise Skip(SkipReason.MALFORMED, "", "is not an object")
    return value


def _named(person: ImportedPerson, field: str) -> None:
    if person.id is None and person.email is None:
        raise Skip(SkipReason.NO_PERSON, field, "is empty, and so is the email")


def _device(record: Record, options: ImportOptions) -> ImportedDevice:
    platform = _one_of(record, "platform", set(Platform))
    if platform == Platform.WEB:
        raise Skip(SkipReason.WEB_NOT_SUPPORTED, "platform")
    if not platform:
        raise Skip(SkipReason.MALFORMED, "platform", "is empty")
    status = _one_of(record, "last_status", {*LastStatus, _UNUSED})
    environment = _one_of(record, "environment", set(Environment))
    return checked(
        ImportedDevice(
            token=_text(record, "token") or "",
            platform=Platform(platform),
            app=_text(record, "app"),
            environment=Environment(environment) if environment else None,
            last_used=values.time(record, "last_used"),
            registered_at=values.time(record, "registered_at"),
            status=LastStatus.UNUSED if status == _UNUSED else LastStatus(status),
            failure_reason=_text(record, "failure_reason"),
            attributes=values.json_object(record, "attributes"),
        ),
        options,
        field="token",
    )


def _text(record: Record, field: str) -> str | None:
    """A text as it is; None of an empty one."""
    value = record.get(field)
    if value is None or value == "":
        return None
    values.text(record, field)  # what can't be text
    return str(value)


def _one_of(record: Record, field: str, known: set[str]) -> str:
    found = _text(record, field) or ""
    if found and found not in known:
        raise Skip(SkipReason.MALFORMED, field, f"is not one of {', '.join(sorted(filter(None, known)))}")
    return found


def _list(record: Record, field: str) -> list[Any]:
    """A list, or the JSON text of one; empty if the field is missing."""
    value = record.get(field)
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value) if value else None
        except (msgspec.DecodeError, RecursionError):
            raise Skip(SkipReason.MALFORMED, field, "is not JSON") from None
    if value is None:
        return []
    if not isinstance(value, list):
        raise Skip(SkipReason.MALFORMED, field, "is not a list")
    return value
