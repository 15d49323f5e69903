"""Any other file: columns with Pushkeeper's names, or a mapping from them to the file's. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.imports import values
from pushkeeper.core.imports.devices import checked
from pushkeeper.core.imports.row import ImportedDevice, ImportedPerson, ImportedRow, Skip, SkipReason
from pushkeeper.core.model import Environment, Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.core.imports.row import ImportOptions, Reader, Record

_PLATFORMS: frozenset[str] = frozenset(Platform)
_ENVIRONMENTS: frozenset[str] = frozenset(Environment)
_STATUSES: frozenset[str] = frozenset(LastStatus)
_ATTRIBUTE, _PERSON_ATTRIBUTE = "attribute.", "person_attribute."


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The columns of a file by our names; what is not mapped is looked for by our name.

    Attributes:
        attribute, person_attribute: columns that become attributes of the device or the person, by the attribute's name;
            without any, columns `attribute.NAME` and `person_attribute.NAME` do.
        values: what a column's values mean, by our name of the column: `[values.platform] 1 = "ios"`.
    """

    token: str = "token"  # noqa: S105 - the name of a column
    platform: str = "platform"
    person: str = "person"
    email: str = "email"
    anonymous_id: str = "anonymous_id"
    last_used: str = "last_used"
    status: str = "status"
    app: str = "app"
    environment: str = "environment"
    attribute: dict[str, str] = {}
    person_attribute: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}


class BadMapping(Exception):
    """What is wrong with a mapping."""


def mapping(text: str) -> Mapping:
    """Parse a mapping from TOML. `BadMapping` if it is not TOML, or has an unknown name.

    `BadMapping` where it is not TOML, or has a name that is none of ours.
    """
    try:
        return msgspec.toml.decode(text, type=Mapping)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadMapping(str(error)) from None


def reader(columns: Mapping) -> Reader:
    """The reader of a file with these columns."""

    def read(record: Record, options: ImportOptions) -> ImportedRow:
        return _read(record, options, columns)

    return read


read = reader(Mapping())


def _read(record: Record, options: ImportOptions, columns: Mapping) -> ImportedRow:
    person = ImportedPerson(
        id=values.text(record, columns.person),
        email=values.text(record, columns.email),
        anonymous_id=values.text(record, columns.anonymous_id),
        attributes=dict(_attributes(record, columns.person_attribute, _PERSON_ATTRIBUTE)),
    )
    if person.id is None and person.email is None and person.anonymous_id is None:
        raise Skip(SkipReason.NO_PERSON, columns.person, "is empty")
    platform = _meaning(record, columns, "platform", _PLATFORMS)
    if platform is None:
        raise Skip(SkipReason.MALFORMED, columns.platform, "is empty")
    if platform == Platform.WEB:
        raise Skip(SkipReason.WEB_NOT_SUPPORTED, columns.platform)
    environment = _meaning(record, columns, "environment", _ENVIRONMENTS)
    return ImportedRow(
        person=person,
        devices=(
            checked(
                ImportedDevice(
                    token=values.text(record, columns.token) or "",
                    platform=Platform(platform),
                    app=values.text(record, columns.app),
                    environment=None if environment is None else Environment(environment),
                    last_used=values.time(record, columns.last_used),
                    status=LastStatus(_meaning(record, columns, "status", _STATUSES) or ""),
                    attributes=dict(_attributes(record, columns.attribute, _ATTRIBUTE)),
                ),
                options,
                field=columns.token,
            ),
        ),
    )


def _meaning(record: Record, columns: Mapping, name: str, known: frozenset[str]) -> str | None:
    """What a column's value is in our words."""
    column: str = getattr(columns, name)
    given = values.text(record, column)
    if given is None:
        return None
    found = columns.values.get(name, {}).get(given, given.lower())
    if found not in known:
        raise Skip(SkipReason.MALFORMED, column, f"is not one of {', '.join(sorted(filter(None, known)))}")
    return found


def _attributes(record: Record, mapped: dict[str, str], prefix: str) -> Iterator[tuple[str, Any]]:
    named = (
        mapped.items() if mapped else [(n.removeprefix(prefix), n) for n in record if n.startswith(prefix)]
    )
    for name, column in named:
        value = record.get(column)
        if value is not None and value != "":
            yield name, value
