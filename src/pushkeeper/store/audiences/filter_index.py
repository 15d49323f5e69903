"""Suggest PostgreSQL indexes that would speed up a filter. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.filters.from_json import DEVICE_TIMES
from pushkeeper.core.filters.nodes import (
    And,
    Condition,
    DeviceCondition,
    Node,
    OneOf,
    Performed,
    SavedAudience,
    Subject,
)
from pushkeeper.store.audiences import filter_sql

if TYPE_CHECKING:
    from pushkeeper.core.filters.nodes import Test

_NOT_OF_A_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 60


class Index(msgspec.Struct, frozen=True):
    """An index that could serve a condition.

    Attributes:
        name: the same for the same index.
        table: what it is on.
        columns: in SQL.
        node: the condition.
    """

    name: str
    table: str
    columns: str
    node: Node

    @property
    def sql(self) -> str:
        """What makes it; on a table in partitions it cannot be made beside others' writes."""
        beside = "" if self.table == "events" else "concurrently "
        return f"create index {beside}{self.name} on {self.table} ({self.columns})"


def candidates(node: Node) -> list[Index]:
    """The indexes that could serve a filter, each for a condition that must be true whatever else is."""
    match node:
        case And(nodes):
            return [index for inner in nodes for index in candidates(inner)]
        case DeviceCondition(inner) | SavedAudience(_, _, inner):
            return candidates(inner)
        case Performed(name):
            return [_index("events", f"event {name}", "workspace_id, name, happened_at", node)]
        case Condition(subject, field, test):
            return _of_condition(subject, field, test, node)
    return []


def _of_condition(subject: Subject, field: str, test: Test, node: Node) -> list[Index]:
    match subject:
        case Subject.PERSON | Subject.DEVICE_ATTRIBUTE:
            table = "people" if subject is Subject.PERSON else "devices"
            expression = filter_sql.attribute("attributes", _quoted(field), test)
            if expression is None:
                return []
            kind = "" if isinstance(test, OneOf) else f" {type(test).__name__.lower()}"
            return [_index(table, f"{field}{kind}", f"workspace_id, {expression}", node)]
        case Subject.DEVICE if field in DEVICE_TIMES:
            return [_index("devices", field, f"workspace_id, {field}", node)]
    # Columns that every push changes are not indexed, so that updates stay in place.
    return []


def _index(table: str, about: str, columns: str, node: Node) -> Index:
    name = _NOT_OF_A_NAME.sub("_", f"audience_{table}_{about}".lower()).strip("_")[:_LONGEST_NAME]
    return Index(name, table, columns, node)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
