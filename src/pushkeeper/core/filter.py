"""Customer.io's filter language: read, bounded, and decided for one person. Its SQL is `core/filter_sql.py`'s."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import msgspec

MAX_DEPTH = 20
MAX_NODES = 500
MAX_VALUE_BYTES = 1_000

_IDENTIFIERS = frozenset({"id", "email", "cio_id"})
_SPELLED = re.compile(r"true|false|-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")


class BadFilter(Exception):
    """What is wrong with a filter, and where (`and[1].attribute.operator`)."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


class And(msgspec.Struct, frozen=True):
    """All of them; of none it is true."""

    nodes: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True):
    """Any of them; of none it is false."""

    nodes: tuple[Node, ...]


class Not(msgspec.Struct, frozen=True):
    node: Node


class InSegment(msgspec.Struct, frozen=True):
    segment_id: int


class Attribute(msgspec.Struct, frozen=True):
    """An attribute by its text, as the App API shows it; `value` None asks whether there is one at all."""

    field: str
    value: str | None


Node: TypeAlias = And | Or | Not | InSegment | Attribute


class Facts(msgspec.Struct, frozen=True):
    """What is known of a person: what they are known by, attributes as JSON, and segments."""

    identifiers: Mapping[str, str]
    attributes: Mapping[str, Any]
    segments: Collection[int]


def read(given: object) -> Node:
    """The filter that JSON says; BadFilter of what is none, or is too deep or large."""
    return _Reader().node(given, "filter", 1)


def matches(node: Node, facts: Facts) -> bool:
    """Whether it is true of this person."""
    match node:
        case And(nodes):
            return all(matches(inner, facts) for inner in nodes)
        case Or(nodes):
            return any(matches(inner, facts) for inner in nodes)
        case Not(inner):
            return not matches(inner, facts)
        case InSegment(segment_id):
            return segment_id in facts.segments
        case Attribute(field, value):
            return _has(field, value, facts)


def is_identifier(field: str) -> bool:
    """Whether a field is what people are known by, and no attribute."""
    return field in _IDENTIFIERS


def meanings(value: str) -> tuple[str | float | bool, ...]:
    """What a text may stand for in JSON: itself, and the number or the truth that it spells; lists and objects never."""
    if not _SPELLED.fullmatch(value):
        return (value,)
    found = msgspec.json.decode(value)
    return (value, found)


def _has(field: str, value: str | None, facts: Facts) -> bool:
    if is_identifier(field):
        known = facts.identifiers.get(field)
        if value is None or known is None:
            return known is not None
        return known.lower() == value.lower() if field == "email" else known == value
    if value is None:
        return field in facts.attributes
    return any(_same(facts.attributes.get(field), meaning) for meaning in meanings(value))


def _same(one: object, other: object) -> bool:
    # To Python 1 is True, which it is not in JSON.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


class _Reader:
    def __init__(self) -> None:
        self._nodes = 0

    def node(self, given: object, place: str, depth: int) -> Node:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise BadFilter(place, f"at most {MAX_DEPTH} levels and {MAX_NODES} conditions")
        if not isinstance(given, dict) or len(given) != 1:
            raise BadFilter(place, "expected an object with one of and, or, not, segment, attribute")
        [(kind, inner)] = given.items()
        within = f"{place}.{kind}"
        match kind:
            case "and":
                return And(self._list(inner, within, depth))
            case "or":
                return Or(self._list(inner, within, depth))
            case "not":
                return Not(self.node(inner, within, depth + 1))
            case "segment":
                return _segment(inner, within)
            case "attribute":
                return _attribute(inner, within)
        raise BadFilter(place, f"{kind[:40]!r} is none of and, or, not, segment, attribute")

    def _list(self, given: object, place: str, depth: int) -> tuple[Node, ...]:
        if not isinstance(given, list):
            raise BadFilter(place, "expected a list")
        return tuple(self.node(inner, f"{place}[{n}]", depth + 1) for n, inner in enumerate(given))


def _segment(given: object, place: str) -> InSegment:
    found = given.get("id") if isinstance(given, dict) and len(given) == 1 else None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 1 << 63:
        raise BadFilter(place, 'expected {"id": number}')
    return InSegment(found)


def _attribute(given: object, place: str) -> Attribute:
    if not isinstance(given, dict) or not given.keys() <= {"field", "operator", "value"}:
        raise BadFilter(place, "expected field, operator and value")
    field, operator = given.get("field"), given.get("operator")
    if not isinstance(field, str) or not field or "\0" in field:
        raise BadFilter(f"{place}.field", "expected an attribute's name")
    if operator == "exists":
        return Attribute(field, None)
    if operator != "eq":
        raise BadFilter(f"{place}.operator", "expected eq or exists")
    if "value" not in given:
        raise BadFilter(f"{place}.value", "is needed for eq")
    return Attribute(field, _text(given["value"], f"{place}.value"))


def _text(value: Any, place: str) -> str:  # noqa: ANN401 - JSON
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if "\0" in text or len(text.encode()) > MAX_VALUE_BYTES:
        raise BadFilter(place, f"at most {MAX_VALUE_BYTES} bytes, and no NUL")
    return text
