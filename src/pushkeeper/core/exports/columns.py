"""What can be exported, and the columns of each. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_COLUMNS = 300
ATTRIBUTE, PERSON_ATTRIBUTE = "attribute.", "person_attribute."


class Exportable(StrEnum):
    """What the rows of an export are."""

    DEVICES = "devices"
    PEOPLE = "people"  # each with their devices
    HISTORY = "history"  # status changes of devices
    PUSHES = "pushes"
    MEMBERS = "members"  # of an audience: its devices or its people


class CellKind(StrEnum):
    """How a value is written; all of them are read as text."""

    PLAIN = "plain"  # a word, a time or a key of ours: no spreadsheet evaluates it
    TEXT = "text"  # somebody else's
    NUMBER = "number"
    FLAG = "flag"
    JSON = "json"  # an object or a list
    VALUE = "value"  # an attribute, as JSON


class BadColumns(Exception):
    """Why columns can't be exported."""


class Column(NamedTuple):
    """A column of an export."""

    name: str
    kind: CellKind = CellKind.PLAIN
    usual: bool = True  # exported where no columns are named


_TEXT, _NUMBER, _FLAG, _JSON = CellKind.TEXT, CellKind.NUMBER, CellKind.FLAG, CellKind.JSON
_PERSON = (Column("person_id", _TEXT), Column("person_email", _TEXT), Column("person_cio_id"))

DEVICES = (
    Column("token", _TEXT),
    Column("platform"),
    Column("app", _TEXT),
    Column("environment"),
    Column("last_status"),
    Column("failure_reason", _TEXT),
    Column("last_used"),
    Column("registered_at"),
    *_PERSON,
    Column("attributes", _JSON),
    Column("device", usual=False),
    Column("strikes", _NUMBER, usual=False),
    Column("created_at", usual=False),
    Column("person_attributes", _JSON, usual=False),
)
PEOPLE = (
    Column("id", _TEXT),
    Column("email", _TEXT),
    Column("cio_id"),
    Column("created_at"),
    Column("unsubscribed", _FLAG),
    Column("attributes", _JSON),
    Column("devices", _JSON),
)
HISTORY = (
    Column("at"),
    Column("device"),
    Column("token", _TEXT),
    Column("platform"),
    Column("event"),
    Column("from_status"),
    Column("to_status"),
    Column("from_person"),
    Column("to_person"),
    Column("generation", _NUMBER),
    Column("message"),
    Column("provider"),
    Column("provider_status", _NUMBER),
    Column("provider_reason", _TEXT),
    Column("request_id", _TEXT),
    Column("strikes", _NUMBER),
    Column("undone", _FLAG),
)
PUSHES = (
    Column("settled_at"),
    Column("message"),
    Column("kind"),
    Column("template_id", _NUMBER),
    *_PERSON,
    Column("device"),
    Column("token", _TEXT),
    Column("platform"),
    Column("ending"),
    Column("reason"),
    Column("provider"),
    Column("provider_status", _NUMBER),
    Column("provider_reason", _TEXT),
    Column("attempts", _NUMBER),
)
# OneSignal's own, in its order (core/imports/onesignal.py has their meaning).
ONESIGNAL = tuple(
    Column(name, _TEXT)
    for name in (
        *("id", "identifier", "session_count", "language", "timezone", "game_version", "device_os"),
        *("device_type", "device_model", "ad_id", "tags", "last_active", "playtime", "amount_spent"),
        *("created_at", "invalid_identifier", "badge_count", "external_user_id", "notification_types"),
    )
)
_OF = {
    Exportable.DEVICES: (DEVICES, (ATTRIBUTE, PERSON_ATTRIBUTE)),
    Exportable.PEOPLE: (PEOPLE, (ATTRIBUTE,)),
    Exportable.HISTORY: (HISTORY, ()),
    Exportable.PUSHES: (PUSHES, ()),
}


def of(kind: Exportable) -> tuple[Column, ...]:
    """The columns of an export of this kind; members have none of their own, but those of people or devices."""
    return _OF[kind][0]


def chosen(kind: Exportable, names: Sequence[str] | None) -> tuple[Column, ...]:
    """The columns of these names in their order, each once, or the usual ones; `attribute.NAME` is an attribute.

    `BadColumns` where there is no such column, or there are too many.
    """
    known, prefixes = _OF[kind]
    if names is None:
        return tuple(column for column in known if column.usual)
    if not names or len(names) > MAX_COLUMNS:
        raise BadColumns(f"expected 1 to {MAX_COLUMNS} names of columns")
    by_name = {column.name: column for column in known}
    found = []
    for name in dict.fromkeys(names):
        if name in by_name:
            found.append(by_name[name])
        elif any(name.startswith(prefix) and name != prefix for prefix in prefixes):
            found.append(Column(name, CellKind.VALUE))
        else:
            others = [f"{prefix}NAME" for prefix in prefixes]
            raise BadColumns(f"{name!r} is not a column of {kind}; expected {', '.join([*by_name, *others])}")
    return tuple(found)
