"""The columns of a file as a mapping reads them, with examples. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.imports.records import BadFile
from pushkeeper.core.imports.row import Skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.core.imports.generic import Mapping
    from pushkeeper.core.imports.records import Numbered

MOST_RECORDS = 200
MOST_COLUMNS = 100
_MOST_EXAMPLES = 3
_LONGEST_EXAMPLE = 16
_DICTS = ("attribute", "person_attribute", "values")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file.

    Attributes:
        read_as: what the mapping reads it as, by our names; empty where it is not read.
        examples: the first different values, those that are long cut, so that none is a whole token.
    """

    name: str
    read_as: str
    examples: list[str] = field(default_factory=list)


def columns(records: Iterator[Numbered], mapping: Mapping) -> list[Column]:
    """The columns of the first records, in their order."""
    found: dict[str, Column] = {}
    try:
        for numbered in islice(records, MOST_RECORDS):
            if isinstance(numbered.record, Skip):
                continue
            for name, value in numbered.record.items():
                if name not in found and len(found) < MOST_COLUMNS:
                    found[name] = Column(name, _read_as(name, mapping))
                if name in found:
                    _add_example(found[name], value)
    except BadFile:
        pass  # of the beginning of a file the last record is not whole
    return list(found.values())


def _read_as(name: str, mapping: Mapping) -> str:
    """What a column is read as."""
    named = [one for one in mapping.__struct_fields__ if one not in _DICTS and getattr(mapping, one) == name]
    for prefix, attributes in (
        ("attribute.", mapping.attribute),
        ("person_attribute.", mapping.person_attribute),
    ):
        if attributes:
            named += [f"{prefix}{ours}" for ours, theirs in attributes.items() if theirs == name]
        elif name.startswith(prefix):
            named.append(name)
    return ", ".join(named)


def _add_example(column: Column, value: object) -> None:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) > _LONGEST_EXAMPLE:
        text = f"{text[: _LONGEST_EXAMPLE // 2]}…"
    if text and len(column.examples) < _MOST_EXAMPLES and text not in column.examples:
        column.examples.append(text)
