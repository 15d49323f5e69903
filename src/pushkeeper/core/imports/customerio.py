"""Customer.io: people with their devices, as `POST /v1/customers/attributes` answers them, and CSV files of people. Pure.

Our own export is the same. Source: Customer.io's OpenAPI description of the App API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.imports import values
from pushkeeper.core.imports.devices import checked
from pushkeeper.core.imports.row import ImportedDevice, ImportedPerson, ImportedRow, Skip, SkipReason
from pushkeeper.core.model import Environment, Platform

if TYPE_CHECKING:
    from pushkeeper.core.imports.row import ImportOptions, Record

_OWN = frozenset({"id", "email", "cio_id"})
_NESTED = ("identifiers", "attributes", "devices")


def read(record: Record, options: ImportOptions) -> ImportedRow:
    """One person. Their `cio_id` is of the workspace that they come from, and says nothing in another.

    `Skip` where the person has no identifier.
    """
    if "customer" in record:
        record = values.json_object(record, "customer")
    if not any(name in record for name in _NESTED):
        return _read_row(record, options)
    identifiers = values.json_object(record, "identifiers")
    person_id = values.text(identifiers, "id") or values.text(record, "id")
    email = values.text(identifiers, "email")
    _check_identifiers(person_id, email, options)
    devices: list[ImportedDevice] = []
    skipped: list[Skip] = []
    given = record.get("devices")
    for place, one in enumerate(given if isinstance(given, list) else ()):
        try:
            devices.append(_device(one, options))
        except Skip as skip:
            skipped.append(Skip(skip.reason, f"devices[{place}].{skip.field}".rstrip("."), skip.detail))
    return ImportedRow(
        person=ImportedPerson(
            id=person_id,
            email=email,
            attributes=_attributes(record),
            unsubscribed=values.flag(record, "unsubscribed"),
        ),
        devices=tuple(devices),
        skipped=tuple(skipped),
    )


def _read_row(record: Record, options: ImportOptions) -> ImportedRow:
    """A row of a CSV file of people: a column each for identifiers and attributes, of which empty cells say nothing."""
    person_id, email = values.text(record, "id"), values.text(record, "email")
    _check_identifiers(person_id, email, options)
    given = {name: value for name, value in record.items() if name not in {*_OWN, "unsubscribed"}}
    person = ImportedPerson(
        id=person_id,
        email=email,
        attributes=values.without_empty(**given),
        unsubscribed=values.flag(record, "unsubscribed"),
    )
    return ImportedRow(person=person)


def _check_identifiers(person_id: str | None, email: str | None, options: ImportOptions) -> None:
    if person_id is None and email is None:
        raise Skip(SkipReason.NO_PERSON, "identifiers", "has neither an id nor an email")
    if options.identifier and {"id": person_id, "email": email}[options.identifier] is None:
        raise Skip(SkipReason.NO_PERSON, options.identifier, "is empty")


def _attributes(record: Record) -> dict[str, Any]:
    given = values.json_object(record, "attributes")
    return {name: value for name, value in given.items() if name not in _OWN}


def _device(record: object, options: ImportOptions) -> ImportedDevice:
    if not isinstance(record, dict):
        raise Skip(SkipReason.MALFORMED, "", "is not an object")
    kind = (values.text(record, "platform") or "").lower()
    if kind == Platform.WEB:
        raise Skip(SkipReason.WEB_NOT_SUPPORTED, "platform")
    if kind not in set(Platform):
        raise Skip(SkipReason.MALFORMED, "platform", "is not ios or android")
    attributes = {**values.json_object(record, "attributes")}
    status = str(attributes.pop("_last_status", "") or "")
    if status not in set(LastStatus):
        raise Skip(SkipReason.MALFORMED, "attributes._last_status", "is not a last status")
    environment = values.text(attributes, "apns_environment")
    if environment is not None and environment not in set(Environment):
        raise Skip(SkipReason.MALFORMED, "attributes.apns_environment", "is not production or sandbox")
    return checked(
        ImportedDevice(
            token=values.text(record, "id") or "",
            platform=Platform(kind),
            app=values.text(attributes, "app_id"),
            environment=Environment(environment) if environment else None,
            last_used=values.time(record, "last_used"),
            status=LastStatus(status),
            attributes=attributes,
        ),
        options,
        field="id",
    )
